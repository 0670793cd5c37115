#include "http/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* One client may have as many addresses as it likes within its network of this prefix. */
#define IPV6_NETWORK_BYTES 8

/* FNV-1a. */
static uint64_t hash_of(const uint8_t *bytes, size_t len)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

static void from_ipv4(struct peer *peer, const uint8_t bytes[4])
{
    inet_ntop(AF_INET, bytes, peer->address, sizeof(peer->address));
    peer->client = hash_of(bytes, 4);
}

void peer_from_address(struct peer *peer, const struct sockaddr_storage *name)
{
    const struct in6_addr *six = &((const struct sockaddr_in6 *)name)->sin6_addr;

    if (name->ss_family == AF_INET) {
        from_ipv4(peer, (const uint8_t *)&((const struct sockaddr_in *)name)->sin_addr);
    } else if (name->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(six)) {
        from_ipv4(peer, six->s6_addr + 12);
    } else if (name->ss_family == AF_INET6) {
        inet_ntop(AF_INET6, six, peer->address, sizeof(peer->address));
        peer->client = hash_of(six->s6_addr, IPV6_NETWORK_BYTES);
    } else {
        memcpy(peer->address, "unix", sizeof("unix"));
        peer->client = hash_of(NULL, 0);
    }
}

uint64_t peer_line(const struct peer *peer, const char *user)
{
    return user != NULL ? hash_of((const uint8_t *)user, strlen(user)) : peer->client;
}
