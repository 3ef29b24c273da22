// The AVX-512 variant once more, compiled for AVX512-BF16; absent where the compiler does not know it.
#define ATTENTION_BF16
#ifndef __AVX512BF16__
#undef __AVX512F__
#endif
#include "attention_avx512.cpp"
