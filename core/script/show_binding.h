/* show_binding.h - what pretty.lua and session.lua ask of C to show values. */
#ifndef TIDE_SCRIPT_SHOW_BINDING_H
#define TIDE_SCRIPT_SHOW_BINDING_H

#ifndef TIDE_CDEF

struct lua_State;

/** Adds the functions to `native`, whose table is on top of the stack. */
void show_open_raises(struct lua_State *L);

#endif
#endif
