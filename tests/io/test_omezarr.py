import functools
import http.server
import json
import shutil
import threading

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graticule.errors import FormatError, SpacingError
from graticule.image import Image
from graticule.io import describe, omezarr, read, write
from graticule.io.scan import to_image

VOXELS = np.arange(5 * 30 * 40).reshape(5, 30, 40).astype(np.uint16)
DTYPES = ["uint8", "uint16", "uint32", "int16", "int32", "int64", "float32", "float64"]
AXES = [{"name": a, "type": "space", "unit": "nanometer"} for a in "zyx"]
SCALE = {"type": "scale", "scale": [50, 10, 10]}


def group(folder, voxels=VOXELS, *, version="0.5", axes=AXES, steps=(SCALE,), shared=None, path="0", **how):
    """An image as other programs write it."""
    scales = {"axes": axes, "datasets": [{"path": path, "coordinateTransformations": list(steps)}]}
    if shared:
        scales["coordinateTransformations"] = shared
    zarr_format = 2 if version == "0.4" else 3
    if version == "0.4":
        attributes = {"multiscales": [scales | {"version": "0.4"}]}
    else:
        attributes = {"ome": {"version": version, "multiscales": [scales]}}
    zarr.create_group(folder, zarr_format=zarr_format, attributes=attributes)
    array = zarr.create_array(folder / path, shape=voxels.shape, dtype=voxels.dtype, zarr_format=zarr_format, **how)
    array[...] = voxels
    return folder


def said(folder):
    return json.loads((folder / "zarr.json").read_text())["attributes"]["ome"]


# -- creating ----------------------------------------------------------------------------------------------------------


def test_a_created_image_is_complete_before_a_voxel_is_written(tmp_path):
    array = omezarr.create(
        tmp_path / "a.zarr", axes="zyx", shape=(70, 30, 300), dtype="uint16", spacing_um=(0.05, 0.01, 0.01)
    )
    assert (array.shape, array.dtype, array.chunks) == ((70, 30, 300), np.uint16, (64, 30, 128))
    assert array.metadata.dimension_names == ("z", "y", "x")
    [scales] = said(tmp_path / "a.zarr")["multiscales"]
    assert [axis["unit"] for axis in scales["axes"]] == ["micrometer"] * 3
    [level] = scales["datasets"]
    assert [t["type"] for t in level["coordinateTransformations"]] == ["scale", "translation"]
    assert level["coordinateTransformations"][0]["scale"] == [0.05, 0.01, 0.01]
    assert not array[...].any()


def test_labels_lie_in_their_image_which_lists_them(tmp_path):
    image = tmp_path / "a.zarr"
    omezarr.create(image, axes="yx", shape=(8, 9), dtype="f4", spacing_um=(1, 1), origin_um=(5, 6))
    for name in ("tissue", "mask"):
        omezarr.create(image / "labels" / name, axes="yx", shape=(8, 9), dtype="u4", spacing_um=(1, 1), labels_of=image)
    assert said(image / "labels")["labels"] == ["tissue", "mask"]
    assert said(image / "labels" / "mask")["image-label"] == {"source": {"image": "../../"}}
    with pytest.raises(ValueError, match="lie in"):
        omezarr.create(tmp_path / "b", axes="yx", shape=(8, 9), dtype="u4", spacing_um=(1, 1), labels_of=image)


def test_the_same_image_is_written_in_the_same_bytes(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 9, (70, 140, 130)).astype(np.uint16)
    for name in ("one", "two"):
        array = omezarr.create(
            tmp_path / name, axes="zyx", shape=voxels.shape, dtype="u2", spacing_um=(1, 1, 1), name="same"
        )
        array[:] = voxels
    files = [sorted(p.relative_to(tmp_path / n) for p in (tmp_path / n).rglob("*")) for n in ("one", "two")]
    assert files[0] == files[1]
    for file in files[0]:
        one, two = tmp_path / "one" / file, tmp_path / "two" / file
        assert one.is_dir() or one.read_bytes() == two.read_bytes()


# -- what was written comes back ---------------------------------------------------------------------------------------

LENGTHS = st.floats(1e-4, 50)


@given(st.data(), st.sampled_from(DTYPES), st.sampled_from(["yx", "zyx", "cyx", "czyx"]))
def test_saving_then_reading_gives_the_same_image(tmp_path_factory, data, dtype, axes):
    shape = data.draw(st.tuples(*(st.integers(2, 9) for _ in axes)))
    voxels = data.draw(arrays(dtype, shape, elements=st.integers(0, 100), fill=st.nothing()))
    ndim = 3 if "z" in axes else 2
    spacing, origin = (data.draw(st.tuples(*(LENGTHS for _ in range(ndim)))) for _ in range(2))
    path = tmp_path_factory.mktemp("zarr") / "a.zarr"
    write(Image(voxels, axes, spacing, origin), path)
    again = read(path, channel="all")
    assert (again.axes, again.spacing_um, again.origin_um) == (axes, spacing, origin)
    assert again.data.dtype == dtype
    assert np.array_equal(again.data[...], voxels)


@st.composite
def stores(draw):
    """Shapes with chunks, and shards of chunks, that need not fit into them."""
    shape = draw(st.tuples(*(st.integers(2, 12) for _ in range(3))))
    chunks = tuple(draw(st.integers(1, n + 2)) for n in shape)
    shards = draw(st.one_of(st.none(), st.tuples(*(st.integers(1, 3) for _ in range(3)))))
    return shape, chunks, shards and tuple(n * c for n, c in zip(shards, chunks, strict=True))


@given(st.data(), stores(), st.sampled_from(DTYPES))
def test_versions_chunks_and_shards_make_no_difference(tmp_path_factory, data, store, dtype):
    shape, chunks, shards = store
    voxels = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    folder = tmp_path_factory.mktemp("zarr")
    old = read(group(folder / "old.zarr", voxels, version="0.4", chunks=chunks))
    new = read(group(folder / "new.zarr", voxels, chunks=chunks, shards=shards))
    for image in (old, new):
        assert (image.axes, image.spacing_um, image.origin_um) == ("zyx", (0.05, 0.01, 0.01), (0, 0, 0))
        assert image.data.dtype == dtype
        assert np.array_equal(image.data[...], voxels)
    window = data.draw(st.tuples(*(st.slices(n) for n in shape)))
    window = tuple(slice(s.start, s.stop, s.step) for s in window)
    assert np.array_equal(new.data[window], voxels[window])
    assert np.array_equal(old.data[..., 1], voxels[..., 1])


def test_big_endian_and_true_or_false_are_read_as_what_others_expect(tmp_path):
    big = read(group(tmp_path / "a.zarr", VOXELS.astype(">u2"), version="0.4"))
    assert big.data.dtype == np.dtype("u2")
    assert np.array_equal(big.data[...], VOXELS)
    bits = read(group(tmp_path / "b.zarr", VOXELS % 2 == 0))
    assert bits.data.dtype == np.uint8
    assert bits.data[0, 0, :3].tolist() == [1, 0, 1]


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    folder = group(tmp_path / "a.zarr", chunks=(1, 30, 40))
    (folder / "0" / "c" / "4" / "0" / "0").write_bytes(b"broken")
    image = read(folder)
    assert np.array_equal(image.data[:4], VOXELS[:4])
    with pytest.raises(FormatError, match="damaged chunk"):
        image.data[4]


def test_an_earlier_image_is_replaced_and_other_things_are_not(tmp_path):
    path = tmp_path / "a.zarr"
    write(Image(VOXELS, "zyx", (1, 1, 1)), path)
    write(Image(VOXELS[:2] + 1, "zyx", (1, 1, 1)), path)
    assert np.array_equal(read(path).data[...], VOXELS[:2] + 1)
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr" / "thesis.txt").write_text("mine")
    with pytest.raises(FormatError, match="found a folder with other things in it"):
        write(Image(VOXELS, "zyx", (1, 1, 1)), tmp_path / "b.zarr")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zarr", "b.zarr"]


def test_a_failed_writing_leaves_nothing(tmp_path):
    class Failing:
        shape, dtype = VOXELS.shape, VOXELS.dtype

        def __getitem__(self, key):
            raise OSError(28, "No space left on device")

    with pytest.raises(FormatError, match=r"a\.zarr: could not be written \(No space left on device\)"):
        write(Image(Failing(), "zyx", (1, 1, 1)), tmp_path / "a.zarr")
    assert not list(tmp_path.iterdir())


# -- size and place ----------------------------------------------------------------------------------------------------


def test_scales_and_translations_of_level_and_image_are_combined(tmp_path):
    steps = [{"type": "scale", "scale": [5, 2, 2]}, {"type": "translation", "translation": [10, 0, 4]}]
    shared = [{"type": "scale", "scale": [10, 10, 10]}, {"type": "translation", "translation": [0, 500, 0]}]
    image = read(group(tmp_path / "a.zarr", steps=steps, shared=shared))
    assert image.spacing_um == (0.05, 0.02, 0.02)
    assert image.origin_um == (0.1, 0.5, 0.04)


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ([{"name": a, "type": "space"} for a in "zyx"], "a voxel size of 50 × 10 × 10 without a unit for z, y, x"),
        ([a | {"unit": "banana"} for a in AXES], "a voxel size in 'banana', which is no length"),
    ],
)
def test_sizes_without_unit_are_asked_for(tmp_path, axes, said):
    folder = group(tmp_path / "a.zarr", axes=axes)
    with pytest.raises(SpacingError, match=said):
        read(folder)
    assert read(folder, spacing_um=(0.1,)).spacing_um == (0.1, 0.1, 0.1)


def test_time_and_depth_of_one_are_no_dimensions(tmp_path):
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}, *AXES]
    steps = [{"type": "scale", "scale": [1, 1, 50, 10, 20]}]
    image = read(group(tmp_path / "a.zarr", VOXELS[None, None, :1], axes=axes, steps=steps))
    assert (image.axes, image.spacing_um) == ("yx", (0.01, 0.02))
    assert np.array_equal(image.data[...], VOXELS[0])
    movie = group(tmp_path / "b.zarr", VOXELS[:, None, None], axes=axes, steps=steps)
    with pytest.raises(FormatError, match="found 5 time points"):
        read(movie)


# -- what is inside ----------------------------------------------------------------------------------------------------


def pyramid(folder):
    write(Image(np.add.outer(np.arange(600), np.arange(700)).astype("u2"), "yx", (0.01, 0.01)), folder)
    return folder


@pytest.mark.parametrize("inner", [":1", ":/1", "/1", ":/1/"])
def test_a_coarser_level_is_asked_for_by_number(tmp_path, inner):
    image = read(f"{pyramid(tmp_path / 'a.zarr')}{inner}")
    assert image.shape == (300, 350)
    assert image.spacing_um == (0.02, 0.02)
    assert image.origin_um == (0.005, 0.005)


def test_labels_are_asked_for_by_their_place(tmp_path):
    folder = pyramid(tmp_path / "a.ome.zarr")
    for name in ("tissue", "mask"):
        how = {"axes": "yx", "shape": (600, 700), "dtype": "u1", "spacing_um": (0.01, 0.01), "labels_of": folder}
        omezarr.create(folder / "labels" / name, **how)[...] = 3
    assert read(f"{folder}:/labels/mask").data[0, 0] == 3
    assert describe(f"{folder}:/labels/mask").labels
    with pytest.raises(FormatError, match=r"found no 'labels/cells' inside; need one of mask, tissue"):
        read(f"{folder}:/labels/cells")


def test_other_names_of_levels_count_in_their_order(tmp_path):
    folder = group(tmp_path / "a.zarr", path="s0")
    assert read(f"{folder}:0").shape == read(f"{folder}:s0").shape == VOXELS.shape


def test_plain_arrays_are_read_when_axes_and_size_are_given(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", data=VOXELS)
    with pytest.raises(FormatError, match="--axes zyx"):
        read(tmp_path / "a.zarr", spacing_um=(1,))
    with pytest.raises(SpacingError, match="no OME metadata and no voxel size"):
        read(tmp_path / "a.zarr", axes="zyx")
    assert read(tmp_path / "a.zarr", axes="zyx", spacing_um=(3, 1, 1)).spacing_um == (3, 1, 1)


def test_names_of_dimensions_are_believed(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", data=VOXELS, dimension_names=["z", "y", "x"])
    assert describe(tmp_path / "a.zarr").axes == "zyx"


def test_one_array_of_several_has_to_be_named(tmp_path):
    root = zarr.create_group(tmp_path / "a.zarr")
    root.create_array("raw", data=VOXELS)
    assert describe(tmp_path / "a.zarr").data.shape == VOXELS.shape
    root.create_array("more", data=VOXELS[0])
    with pytest.raises(FormatError, match=r"found 2 arrays \(more, raw\); need one; name it, e\.g\. .*a\.zarr:/more"):
        describe(tmp_path / "a.zarr")
    assert describe(f"{tmp_path / 'a.zarr'}:/more").axes == "yx"


def test_the_only_image_of_a_collection_is_taken(tmp_path):
    zarr.create_group(tmp_path / "a.zarr", attributes={"bioformats2raw.layout": 3})
    group(tmp_path / "a.zarr" / "0")
    zarr.create_group(tmp_path / "a.zarr" / "OME")
    assert read(tmp_path / "a.zarr").spacing_um == (0.05, 0.01, 0.01)


# -- what is wrong -----------------------------------------------------------------------------------------------------


def says(source, message):
    with pytest.raises(FormatError, match=message) as refused:
        to_image(describe(source), source).data[...]
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("how", [{}, {"compressors": None}, {"shards": (4, 16, 40)}])
@pytest.mark.parametrize("keep", [0, 3, 0.5, 0.9])
def test_a_damaged_chunk_is_named(tmp_path, keep, how):
    folder = group(tmp_path / "a.zarr", chunks=(2, 8, 40), **how)
    name = "0/c/1/1/0" if "shards" in how else "0/c/2/3/0"
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: keep if keep > 1 else int(keep * len(whole))])
    says(folder, rf"a\.zarr: found a damaged chunk, {name} \(voxels 4–4, ")


def test_a_changed_byte_is_noticed(tmp_path):
    path = tmp_path / "a.zarr"
    write(Image(np.random.default_rng(0).integers(0, 99, (40, 50)), "yx", (1, 1)), path)
    chunk = path / "0" / "c" / "0" / "0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    says(path, "found a damaged chunk, 0/c/0/0")


def test_missing_chunks_are_zeros_and_counted(tmp_path):
    folder = group(tmp_path / "a.zarr", chunks=(1, 30, 40))
    shutil.rmtree(folder / "0" / "c" / "3")
    scan = describe(folder)
    assert not scan.data[3].any()
    assert scan.data.missing() == (1, 5)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_metadata_cut_short_are_named(tmp_path, version):
    whole = group(tmp_path / "a.zarr", version=version)
    files = [p.relative_to(whole) for p in whole.rglob("*") if p.name.startswith(".z") or p.name == "zarr.json"]
    assert len(files) >= 2
    for file in files:
        if file.name == ".zattrs" and file.parent.name == "0":
            continue
        broken = tmp_path / "broken.zarr"
        shutil.copytree(whole, broken)
        for content in ((whole / file).read_bytes()[:-9], b"", b"[]"):
            (broken / file).write_bytes(content)
            says(broken, rf"broken\.zarr.*{file.name}: found damaged metadata")
        shutil.rmtree(broken)


@pytest.mark.parametrize(
    "scales",
    [
        [],
        [{}],
        {},
        None,
        [{"axes": AXES, "datasets": []}],
        [{"axes": AXES, "datasets": [{"path": "0", "coordinateTransformations": [{"type": "affine"}]}]}],
        [{"axes": AXES, "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1]}]}]}],
        [{"axes": 3, "datasets": [{"path": "0"}]}],
    ],
)
def test_metadata_that_make_no_sense_are_refused(tmp_path, scales):
    zarr.create_group(tmp_path / "a.zarr", attributes={"ome": {"version": "0.5", "multiscales": scales}})
    says(tmp_path / "a.zarr", r"a\.zarr: found OME metadata that cannot be made out")


def test_a_level_that_is_listed_has_to_be_there(tmp_path):
    folder = group(tmp_path / "a.zarr")
    shutil.rmtree(folder / "0")
    says(folder, "found no array '0', a level that the metadata list")
    says(group(tmp_path / "b.zarr", VOXELS[0]), "found 2 dimensions in '0', but 3 axes")


@pytest.mark.parametrize("dtype", ["complex64", "U4"])
@pytest.mark.filterwarnings("ignore")  # zarr's, on types without a specification
def test_what_is_no_number_is_refused(tmp_path, dtype):
    zarr.create_array(tmp_path / "a.zarr", shape=(4, 5), dtype=dtype)
    says(tmp_path / "a.zarr", "need whole or floating-point numbers")


def test_nothing_there_is_said(tmp_path):
    says(tmp_path / "none.zarr", "found no such file or folder")
    (tmp_path / "empty.zarr").mkdir()
    says(tmp_path / "empty.zarr", "found no Zarr array or group inside")
    zarr.create_group(tmp_path / "bare.zarr")
    says(tmp_path / "bare.zarr", "found a Zarr group without arrays")


# -- on the web --------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path):
    """The address of `tmp_path` on a web server of this machine."""

    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *said):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=tmp_path)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_image_on_the_web_is_read_like_one_on_disk(tmp_path, served):
    group(tmp_path / "a.zarr", chunks=(2, 8, 40), shards=(4, 16, 40))
    group(tmp_path / "b.zarr", version="0.4", chunks=(2, 8, 40))
    for name in ("a.zarr", "b.zarr:0", "b.zarr/0"):
        image = read(f"{served}/{name}")
        assert image.spacing_um == (0.05, 0.01, 0.01)
        assert np.array_equal(image.data[1:4, 5:9], VOXELS[1:4, 5:9])
    says(f"{served}/c.zarr", "found no Zarr there")
    (tmp_path / "b.zarr" / "0" / "2.3.0").write_bytes(b"\x02\x01")
    says(f"{served}/b.zarr", "found a damaged chunk")


def test_a_server_that_is_gone_is_said(tmp_path, served):
    says("http://127.0.0.1:9/a.zarr", "or no way to it")
    says("gopher://host/a.zarr", "found a damaged or unsupported Zarr, or no way to it")


def test_memory_is_an_address_too(tmp_path):
    zarr.save("memory://a.zarr", VOXELS[0])
    assert np.array_equal(read("memory://a.zarr", spacing_um=(1,)).data[...], VOXELS[0])
    file = group(tmp_path / "a.zarr").as_uri()
    assert file.startswith("file://")
    assert np.array_equal(read(file).data[...], VOXELS)
