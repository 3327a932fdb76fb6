"""Recipe text to plan: deterministic and light (no torch, no transformers, no numpy).

The same inputs give the same plan. The recipe is read in ``language/toml_source.py``, the model and the machine
through ``facts/``, the rows and templates through ``data/``. A compile writes nothing but the ``cache.py`` of hashes;
``check.fix_file`` replaces a recipe by its mended text, and ``domains.write_domain`` copies a shipped one.
"""
