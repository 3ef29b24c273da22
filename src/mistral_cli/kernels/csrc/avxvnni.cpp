// The 256-bit variant once more, compiled for AVX-VNNI; absent where the compiler does not know it.
#define PRODUCTS_AVXVNNI
#ifndef __AVXVNNI__
#undef __AVX2__
#endif
#include "avx2.cpp"
