"""The Fiedler vector: similarity graphs, Laplacians and the solvers."""
