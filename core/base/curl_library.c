/* curl_library.c - see curl_library.h. */
#include "base/curl_library.h"

#include <pthread.h>

#include <dlfcn.h>

#define CURL_NAME "libcurl.so.4"

static struct {
    pthread_once_t once;
    bool loaded;
    struct curl_library library;
    struct error problem;
} shared = {.once = PTHREAD_ONCE_INIT};

static void load(void)
{
    struct curl_library *library = &shared.library;
    const struct {
        const char *name;
        void **function;
    } rows[] = {
        {"curl_easy_init", (void **)&library->easy_init},
        {"curl_easy_setopt", (void **)&library->easy_setopt},
        {"curl_easy_getinfo", (void **)&library->easy_getinfo},
        {"curl_easy_perform", (void **)&library->easy_perform},
        {"curl_easy_strerror", (void **)&library->easy_strerror},
        {"curl_easy_cleanup", (void **)&library->easy_cleanup},
        {"curl_slist_append", (void **)&library->slist_append},
        {"curl_slist_free_all", (void **)&library->slist_free_all},
    };
    void *handle = dlopen(CURL_NAME, RTLD_NOW | RTLD_LOCAL);

    for (size_t i = 0; handle != NULL && i < TIDE_COUNT(rows); i++) {
        *rows[i].function = dlsym(handle, rows[i].name);
        if (*rows[i].function == NULL)
            handle = NULL;
    }
    shared.loaded = handle != NULL;
    if (!shared.loaded)
        error_set(&shared.problem, ERR_UNSUPPORTED, "%s cannot be loaded: %s (install libcurl4)",
                  CURL_NAME, dlerror());
}

const struct curl_library *curl_library_get(struct error *err)
{
    pthread_once(&shared.once, load);
    if (shared.loaded)
        return &shared.library;
    *err = shared.problem;
    return NULL;
}
