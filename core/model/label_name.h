/* label_name.h - names of labels as paths of URLs carry them (http-protocols 1.4). Pure,
 * thread-safe. */
#ifndef TIDE_MODEL_LABEL_NAME_H
#define TIDE_MODEL_LABEL_NAME_H

#include "base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Undoes the escaping of names in paths: U__http_2e_x is http.x. What is not escaped, or is broken,
 * comes back as it is.
 *
 * @param out  len bytes of room; not terminated
 * @return length of what was written to `out`
 */
size_t label_name_unescape(const char *name, size_t len, char *out);

#ifdef __cplusplus
}
#endif

#endif
