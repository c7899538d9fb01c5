"""`membrane bench`: a training step of membrane beside those of its peers, and beside the same net without time."""
