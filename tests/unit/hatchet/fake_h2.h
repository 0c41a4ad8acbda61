/* A server of bytes: accepts connections on 127.0.0.1 and plays a script on each, one step after the other. It knows just enough
 * of HTTP/2 to wait for a request; what it says is whatever the test wrote down. */
#ifndef FAKE_H2_H
#define FAKE_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum fake_do {
    FAKE_END,           /* keep the connection, answer nothing more */
    FAKE_SAY,           /* these bytes */
    FAKE_REQUEST,       /* wait until the next stream's HEADERS are there; streams are numbered as they come: 1, 3, 5 … */
    FAKE_PING,          /* wait for a PING */
    FAKE_SETTINGS_ACK,  /* wait until our SETTINGS were acknowledged */
    FAKE_CLOSE,
    FAKE_HOLD           /* wait until fake_h2_go */
} fake_do;

typedef struct fake_step {
    fake_do     what;
    const char *bytes;
    size_t      len;
} fake_step;

typedef struct fake_h2 fake_h2;

/** Connection number i plays scripts[i]; the last one is played for all that follow. The steps are borrowed. */
fake_h2 *fake_h2_start(const fake_step *const *scripts, size_t count);
uint16_t fake_h2_port(const fake_h2 *fake);
void     fake_h2_go(fake_h2 *fake);
/** Connections so far. */
unsigned fake_h2_connections(fake_h2 *fake);
void     fake_h2_stop(fake_h2 *fake);

/* ---- frames, as string literals ---------------------------------------------------------------------------------- */

#define SAY(text) {FAKE_SAY, "" text, sizeof(text) - 1}
#define SETTINGS "\0\0\0\4\0\0\0\0\0"

#endif
