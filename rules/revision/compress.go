package revision

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Objects are kept compressed (RFC 8878); their names are the hashes of what they hold.

var encoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // of options that are constant
	}
	return e
})

func compress(data []byte) []byte { return encoder().EncodeAll(data, nil) }

// decompress is what an object holds, which has so many bytes.
func decompress(object []byte, size int64) ([]byte, error) {
	data, err := decompressMost(object, size)
	if err == nil && int64(len(data)) < size {
		err = fmt.Errorf("it has %d bytes, not %d", len(data), size)
	}
	return data, err
}

// decompressMost is what an object holds, of at most so many bytes. It makes no byte more.
func decompressMost(object []byte, most int64) ([]byte, error) {
	const window = 8 << 20
	d, err := zstd.NewReader(bytes.NewReader(object), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	data, err := io.ReadAll(io.LimitReader(d, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("it cannot be decompressed: %w", err)
	case int64(len(data)) > most:
		return nil, fmt.Errorf("it holds more than the %d bytes that it may", most)
	}
	return data, nil
}

// maxObject is how long an object of so many bytes is at most: what does not compress grows a little.
func maxObject(size int64) int64 { return size + size/128 + 1<<10 }
