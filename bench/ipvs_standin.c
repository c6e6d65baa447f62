/* Lets a real keepalived run its health checks on a kernel without IPVS: preloaded, it answers
 * every IPVS request with success. Nothing of how keepalived probes is touched. */

typedef int (*callback)(void *message, void *with);
static struct { callback call; void *with; } told[16];

int genl_ctrl_resolve(void *socket, const char *name) { return 99; }

int nl_send_auto(void *socket, void *message) { return 1; }

int nl_socket_modify_cb(void *socket, int type, int kind, callback call, void *with) {
    told[type].call = call;
    told[type].with = with;
    return 0;
}

int nl_recvmsgs_default(void *socket) {
    static const int done[] = {1, 4}; /* NL_CB_FINISH, NL_CB_ACK */
    for (int i = 0; i < 2; i++)
        if (told[done[i]].call)
            told[done[i]].call(0, told[done[i]].with);
    return 0;
}
