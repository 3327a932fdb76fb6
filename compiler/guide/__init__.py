"""The comparison that guides give for fine-tuning a 7B, with our predictions beside their figures."""
