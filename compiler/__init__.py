"""Recipe text to plan: pure, deterministic and light (no torch, no transformers, no numpy)."""
