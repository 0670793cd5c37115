/* curl_library.h - libcurl, loaded when it is first needed.
 *
 * With the twenty libraries that it needs itself it takes 3.5 MB of memory and a third of the time
 * of a start, and a server that sends no webhooks never asks anybody. Thread-safe. */
#ifndef TIDE_BASE_CURL_LIBRARY_H
#define TIDE_BASE_CURL_LIBRARY_H

#include "base/base.h"
#include "base/error.h"

#ifndef TIDE_CDEF

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#undef curl_easy_setopt
#undef curl_easy_getinfo

/* Its functions by their names without "curl_". */
struct curl_library {
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *curl, CURLoption option, ...);
    CURLcode (*easy_getinfo)(CURL *curl, CURLINFO info, ...);
    CURLcode (*easy_perform)(CURL *curl);
    const char *(*easy_strerror)(CURLcode code);
    void (*easy_cleanup)(CURL *curl);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
    void (*slist_free_all)(struct curl_slist *list);
};

/** The library, loaded for the rest of the process' life; or NULL with err: UNSUPPORTED. */
const struct curl_library *curl_library_get(struct error *err);

#endif
#endif
