/* verify_use.c - use.db. What it does not tell of, or tells of too, is no damage: series come and
 * go between two writes of it. */
#include "disk/use_db.h"
#include "disk/verify_parts.h"

int verify_use(struct verify *verify, struct error *err)
{
    struct use_db_visitor visitor = {0};
    uint64_t damaged;

    if (use_db_read(verify->volume, &visitor, &damaged, err) != 0) {
        if (err->code == ERR_CORRUPT)
            verify_report(verify, VERIFY_DAMAGE, USE_FILE, -1, "%s", err->text);
        else if (err->code != ERR_NOT_FOUND)
            return -1;
    }
    if (damaged != 0)
        verify_report(verify, VERIFY_DAMAGE, USE_FILE, -1, "%" PRIu64 " damaged blocks", damaged);
    return 0;
}
