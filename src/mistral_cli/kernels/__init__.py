"""Products of 4-bit weights and int8 activations on a CPU: C++ sources, and the operator and module that call them."""
