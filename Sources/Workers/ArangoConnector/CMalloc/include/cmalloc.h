#ifndef CMALLOC_H
#define CMALLOC_H

/* mallopt(3) of glibc, which Swift's Glibc module leaves out. Both return 1 on success. */

/* Blocks of at least this many bytes get memory of their own, given back when freed. */
int cmalloc_set_mapped_bytes_min(int bytes);

/* At most this many heaps, however many threads there are. */
int cmalloc_set_arenas_max(int count);

#endif
