// The 512-bit variant once more, compiled for VBMI; absent where the compiler does not know it.
#define PRODUCTS_AVX512VBMI
#ifndef __AVX512VBMI__
#undef __AVX512VNNI__
#endif
#include "avx512.cpp"
