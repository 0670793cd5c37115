/* completion.h - Tab: asks the server what could stand at the cursor and puts it there. */
#ifndef TIDE_CONSOLE_COMPLETION_H
#define TIDE_CONSOLE_COMPLETION_H

#ifndef TIDE_CDEF

#include <histedit.h>

#include "console/console_client.h"

/** @return what a function of the editor returns (CC_REFRESH ...) */
unsigned char completion_run(EditLine *editor, struct console_client *client);

#endif
#endif
