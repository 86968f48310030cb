"""The verbs every edge calls; each in the file of its name, imported from there, since some load torch and some do not.

``train``, ``predict`` (one image), ``predict_files`` (files to folders of results), ``evaluate``, ``cross_validate``,
``check``, ``simulate``, ``inspect``, ``demo``; and what they share: ``choose_settings`` and ``examples`` (from what a
user typed, and a dataset, to a task and what it learns from), ``unannotated``, ``ready``, ``results`` (folders that
appear whole), ``provenance``.
"""
