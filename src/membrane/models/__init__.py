"""Models: trees of named modules, x [N,C,…] → [N,K] in step mode 's', [T,N,C,…] → [T,N,K] in 'm'.

Every model takes these arguments, and raises ConfigError if it cannot be built from them:

    input_shape: [C,S] or [C,H,W] of one sample at one timestep.
    classes: K, the number of outputs.
    timesteps: T, for norms that learn something for each timestep.
    neuron: builds a fresh neuron at every call. It is used everywhere as it is, in place of a paper's own.
    dims: 1 for signals, 2 for images. None, the default, follows ``input_shape``; a number must agree with it.
"""
