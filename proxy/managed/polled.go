package managed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy/config"
	"gatehouse/rules/revision"
)

// PolledOptions are what a Polled needs. Depot, Name and Logger are required.
type PolledOptions struct {
	Depot  revision.Depot
	Name   string // of the object
	URL    string // for messages
	Config config.Options
	Logger *zap.Logger
	// StateDir keeps the last good configuration; empty keeps none.
	StateDir string
	Every    time.Duration // between looks, 0 for a minute, a fifth less to a fifth more
}

// Polled is a configuration that is one object of a bucket, without a signature: who may write there decides what is served. A
// configuration that cannot be served is left, and the one before stays.
type Polled struct {
	options PolledOptions
	dir     *stateDir              // nil if nothing is kept
	text    atomic.Pointer[[]byte] // what Load gives
	seen    []byte                 // the newest that was looked at, good or not
	kept    []byte                 // the last good one, nil if there is none
}

const polledName = "config.json"

// polledFile is the last good configuration on disk.
type polledFile struct {
	URL  string `json:"url"`
	Text []byte `json:"text"`
}

// maxPolled bounds a configuration in a bucket, in bytes.
const maxPolled = 64 << 20

// NewPolled reads the configuration from the bucket, or if that cannot be had or used, the last good one from the disk.
func NewPolled(ctx context.Context, o PolledOptions) (_ *Polled, err error) {
	if o.Every <= 0 {
		o.Every = time.Minute
	}
	p := &Polled{options: o}
	var kept polledFile
	if o.StateDir != "" {
		if p.dir, err = openStateDir(o.StateDir); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, p.dir.close())
			}
		}()
		if err := p.dir.read(polledName, &kept); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	} else {
		o.Logger.Warn("without -state-dir no configuration is kept: this gateway could not start while the bucket is away")
	}
	if kept.URL == o.URL {
		p.kept = kept.Text
	}
	text, err := p.fetch(ctx)
	if err == nil {
		p.seen = text
		if _, err = p.parse(text); err == nil {
			p.text.Store(&text)
			return p, nil
		}
	}
	if !p.Fallback(err) {
		return nil, err
	}
	return p, nil
}

// Fallback goes back to the last good configuration on disk after an error, and reports whether there is another one.
func (p *Polled) Fallback(why error) bool {
	if now := p.text.Load(); p.kept == nil || now != nil && bytes.Equal(*now, p.kept) {
		return false
	}
	p.options.Logger.Error("the last good configuration on disk is served", zap.String("url", p.options.URL), zap.Error(why))
	p.text.Store(&p.kept)
	return true
}

func (p *Polled) fetch(ctx context.Context) ([]byte, error) {
	const patience = 15 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	text, _, err := p.options.Depot.Get(ctx, p.options.Name, maxPolled)
	return text, err
}

// parse reads a configuration. Files that it names are this machine's, at absolute paths or beside the working directory.
func (p *Polled) parse(text []byte) (*config.Loaded, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	return p.options.Config.LoadBytes(filepath.Join(dir, filepath.Base(p.options.Name)), text)
}

// Load reads the configuration that is to be served, for proxy.Options.
func (p *Polled) Load() (*config.Loaded, error) { return p.parse(*p.text.Load()) }

// Watch looks at the bucket until ctx ends, and has what is new served by reload, whose error leaves what is served.
func (p *Polled) Watch(ctx context.Context, reload func() error) error {
	p.keep()
	said := ""
	for sleep(ctx, jittered(p.options.Every)) {
		text, err := p.fetch(ctx)
		if now := errorText(err); now != said && ctx.Err() == nil {
			if said = now; err != nil {
				p.options.Logger.Warn("the configuration cannot be read; what is served stays", zap.String("url", p.options.URL), zap.Error(err))
			}
		}
		if err != nil || bytes.Equal(text, p.seen) {
			continue
		}
		p.seen = text
		old := p.text.Swap(&text)
		if err := reload(); err != nil { // logged, and shown in /status
			p.text.Store(old)
			continue
		}
		p.keep()
	}
	return p.Close()
}

// Close gives the state directory back, where Watch was not called.
func (p *Polled) Close() error {
	if p.dir == nil {
		return nil
	}
	return p.dir.close()
}

// keep keeps what is served on disk.
func (p *Polled) keep() {
	if p.dir == nil {
		return
	}
	if err := p.dir.write(polledName, polledFile{URL: p.options.URL, Text: *p.text.Load()}); err != nil {
		p.options.Logger.Error("the configuration cannot be kept on disk", zap.Error(fmt.Errorf("-state-dir: %w", err)))
	}
}
