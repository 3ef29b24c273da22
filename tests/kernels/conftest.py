"""Where no compiler built the library, there is no product to test; what is said then is tested all the same."""

from __future__ import annotations

from mistral_cli.kernels import library

NEED_IT = ["test_library.py", "test_packed_linear.py", "test_packing.py", "test_products.py"]
collect_ignore = NEED_IT if library.unavailable() else []
