/* Uses message_router.h as a C program would: compiled as strict C99, linked, run. */
#include "message_router.h"

#include <stddef.h>
#include <stdio.h>

static int failures = 0;

static void expect(int holds, const char *claim) {
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", claim);
        failures++;
    }
}

int main(void) {
    void *router = create_router(3);
    const struct message batch[4] = {
        {ROUTER_INTERNAL, ROUTER_EXTERNAL, ROUTER_LOW, 10, 1, 0},
        {ROUTER_INTERNAL, ROUTER_EXTERNAL, ROUTER_CRITICAL, 20, 2, 0},
        {ROUTER_EXTERNAL, ROUTER_EXTERNAL, ROUTER_CRITICAL, 30, 3, 0},
        {ROUTER_EXTERNAL, ROUTER_EXTERNAL, ROUTER_HIGH, 40, 4, 0},
    };
    struct message out[4];
    int32_t ids[4] = {-9, -9, -9, -9};

    expect(sizeof(struct message) == 32, "a message has 32 bytes");
    expect(offsetof(struct message, timestamp_ms) == 16, "the time stamp is at byte 16");
    expect(router != NULL, "a router is made");
    expect(create_router(0) == NULL && create_router(ROUTER_MAX_CAPACITY + 1) == NULL,
           "a capacity out of range is refused");

    expect(route_messages_ffi(router, batch, 4, ids) == 3, "a batch stops where the queue is full");
    expect(ids[0] == 0 && ids[2] == 2 && ids[3] == -9, "accepted messages get ids, others none");
    expect(route_messages_ffi(router, batch + 3, 1, NULL) == ROUTER_FULL, "the rest says why");
    expect(get_queue_depth_ffi(router, ROUTER_EXTERNAL) == 3, "three wait in the external tract");
    expect(get_total_queue_depth_ffi(router) == 3, "and three in all");

    expect(get_next_message_ffi(router, ROUTER_EXTERNAL) == 1, "the highest priority comes first");
    expect(get_next_messages_ffi(router, ROUTER_EXTERNAL, out, 4) == 2, "the others follow");
    expect(out[0].payload_size == 30 && out[0].id == 2, "in order, with their fields");
    expect(out[1].priority == ROUTER_LOW && out[1].timestamp_ms == 1, "the lowest last");
    expect(get_next_message_ffi(router, ROUTER_EXTERNAL) == ROUTER_EMPTY, "then none waits");

    expect(route_message_ffi(router, 0, 1, 4, 0, 0) == ROUTER_BAD_PRIORITY, "bad priorities are refused");
    expect(route_message_ffi(NULL, 0, 1, 0, 0, 0) == ROUTER_BAD_ROUTER, "so is a null router");
    destroy_router(router);
    destroy_router(NULL);
    return failures;
}
