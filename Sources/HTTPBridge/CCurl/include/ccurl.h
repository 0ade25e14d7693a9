// What Swift cannot call of libcurl: its variadic option setters, and little else.
//
// Every function mirrors one curl call; the meaning of options and codes is libcurl's own
// (https://curl.se/libcurl/c/, written for 7.88).

#ifndef STREAMFORGE_CCURL_H
#define STREAMFORGE_CCURL_H

// Distinct types for CURL and CURLM instead of `void`.
#define CURL_STRICTER 1
#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

/// Takes or gives bytes; returns how many, or one of the CURL_*FUNC_* codes.
typedef size_t (*ccurl_bytes_callback)(char *bytes, size_t size, size_t count, void *context);
/// Moves the read position of the request body; returns CURL_SEEKFUNC_*.
typedef int (*ccurl_seek_callback)(void *context, curl_off_t offset, int origin);

CURLcode ccurl_set_long(CURL *easy, CURLoption option, long value);
CURLcode ccurl_set_offset(CURL *easy, CURLoption option, curl_off_t value);
CURLcode ccurl_set_string(CURL *easy, CURLoption option, const char *value);
/// For the *_BLOB options; libcurl copies the bytes.
CURLcode ccurl_set_bytes(CURL *easy, CURLoption option, const void *bytes, size_t count);
CURLcode ccurl_set_headers(CURL *easy, struct curl_slist *headers);
/// `buffer` holds at least CURL_ERROR_SIZE bytes and outlives the transfer.
CURLcode ccurl_set_error_buffer(CURL *easy, char *buffer);
/// Both callbacks get `context`.
CURLcode ccurl_set_receivers(
    CURL *easy, ccurl_bytes_callback write, ccurl_bytes_callback header, void *context);
CURLcode ccurl_set_body_source(CURL *easy, ccurl_bytes_callback read, ccurl_seek_callback seek, void *context);

CURLcode ccurl_get_long(CURL *easy, CURLINFO info, long *value);
CURLcode ccurl_get_offset(CURL *easy, CURLINFO info, curl_off_t *value);

CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value);
/// Takes the next finished transfer from the multi handle; false when there is none.
bool ccurl_multi_next_finished(CURLM *multi, CURL **easy, CURLcode *result);

#endif
