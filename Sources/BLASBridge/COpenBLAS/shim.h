// The C interface of BLASBridge: OpenBLAS' CBLAS, and the two routines of LAPACK that it comes with.
#ifndef STREAMFORGE_COPENBLAS_SHIM_H
#define STREAMFORGE_COPENBLAS_SHIM_H

#include <cblas.h>

// Debian's openblas has no C header for LAPACK. `uplo` is 'L' or 'U', matrices are in columns, `info` is 0
// when all went well. The last parameter is the length of `uplo`, which Fortran compilers pass by value.
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, unsigned long);
void dpotri_(const char *uplo, const int *n, double *a, const int *lda, int *info, unsigned long);

#endif
