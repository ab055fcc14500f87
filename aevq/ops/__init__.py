"""Pure functions of tensors. No module, no Lightning, no configuration."""
