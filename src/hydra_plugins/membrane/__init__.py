"""The plugins that Hydra finds by itself, in the one package where it looks for them."""
