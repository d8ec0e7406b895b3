package listener

import (
	"encoding/binary"
	"io"
	"slices"
)

const (
	flagAck              = 0x1
	settingBytes         = 6 // an identifier and a value (RFC 9113, section 6.5.1)
	settingInitialWindow = 0x4
	largestWindow        = 1<<31 - 1
)

// readSettings reads a SETTINGS frame. A client may change the initial window of streams several times in it, and the
// last value is the one in effect (RFC 9113, section 6.5.3); the server takes one alone, so it gets the last. Whatever
// else is in the frame, and a value that is not allowed, is the server's to judge.
func (c *http2Conn) readSettings(h frameHeader) error {
	c.frame = slices.Grow(c.frame[:0], len(c.head)+h.length)[:len(c.head)+h.length]
	payload := c.frame[len(c.head):]
	if _, err := io.ReadFull(c.r, payload); err != nil {
		return err
	}
	payload = lastWindow(payload)
	h.length = len(payload)
	h.append(c.frame[:0])
	c.ready = c.frame[:len(c.head)+len(payload)]
	return nil
}

// lastWindow drops, in place, all values of the initial window but the last, if each is allowed.
func lastWindow(settings []byte) []byte {
	last, repeated := -1, false
	for i := 0; i+settingBytes <= len(settings); i += settingBytes {
		if binary.BigEndian.Uint16(settings[i:]) != settingInitialWindow {
			continue
		}
		if binary.BigEndian.Uint32(settings[i+2:]) > largestWindow {
			return settings
		}
		repeated, last = repeated || last >= 0, i
	}
	if !repeated {
		return settings
	}
	kept := settings[:0]
	for i := 0; i < len(settings); i += settingBytes {
		part := settings[i:min(i+settingBytes, len(settings))]
		if i == last || len(part) < 2 || binary.BigEndian.Uint16(part) != settingInitialWindow {
			kept = append(kept, part...)
		}
	}
	return kept
}
