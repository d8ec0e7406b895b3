package engine

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/rules/rulestest"
)

// The entries of a spool are directories, named by what is in them.
const (
	unfinishedPrefix   = "unfinished-"
	disagreementPrefix = "disagreement-"
	policyPrefix       = "policy-"
)

// maxSpooled bounds the entries of a spool.
const maxSpooled = 256

// spool is a directory of disagreements, each in a directory of its own: a raw request, and a test file that says all of
// it. They hold what clients sent, so they are for this user alone. Beside them are the policies, compressed, each once. It
// is not safe for concurrent use.
type spool struct {
	path string
	most int64 // bytes of all files
}

// openSpool makes the directory if there is none, removes what an earlier process has not finished, and the oldest entries
// if there is too much.
func openSpool(path string, most int64) (*spool, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make spool: %w", err)
	}
	// Whoever else owns it could read what is written: without owning it, this fails.
	if err := os.Lchown(path, os.Geteuid(), -1); err != nil {
		return nil, fmt.Errorf("own spool: %w; remove it or name another directory", err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if !info.IsDir() || info.Mode().Perm() != 0o700 {
		return nil, fmt.Errorf("spool %s must be a directory with mode 0700; remove it or name another directory", path)
	}
	s := &spool{path: path, most: most}
	names, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("sweep spool: %w", err)
	}
	for _, n := range names {
		if strings.HasPrefix(n.Name(), unfinishedPrefix) {
			if err := os.RemoveAll(filepath.Join(path, n.Name())); err != nil {
				return nil, fmt.Errorf("sweep spool: %w", err)
			}
		}
	}
	return s, s.makeRoom(0, 0)
}

// store writes a disagreement, and the policy unless it is there, and answers where it is.
func (s *spool) store(p *sampledPolicy, c *Comparison) (string, error) {
	policy := policyPrefix + p.digest.short()
	const policyFile, caseFile = "policy" + rulestest.Extension + ".gz", "case" + rulestest.Extension
	text, err := policyText(p)
	if err == nil {
		err = s.entry(policy, map[string][]byte{policyFile: text})
	}
	name := disagreementPrefix + time.Now().UTC().Format("20060102T150405.000000000Z")
	return filepath.Join(s.path, name), errors.Join(err, s.entry(name, map[string][]byte{
		"request.http": requestText(&c.Exchange),
		caseFile:       caseText(p, filepath.Join("..", policy, policyFile), c),
	}))
}

// entry writes a directory of files, whole or not at all. One that is there becomes the newest.
func (s *spool) entry(name string, files map[string][]byte) error {
	target := filepath.Join(s.path, name)
	now := time.Now()
	if err := os.Chtimes(target, now, now); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	size := int64(0)
	for _, text := range files {
		size += int64(len(text))
	}
	if size > s.most {
		return fmt.Errorf("store %s: %d bytes are more than the spool takes", name, size)
	}
	if err := s.makeRoom(size, 1); err != nil {
		return err
	}
	unfinished, err := os.MkdirTemp(s.path, unfinishedPrefix)
	if err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	for file, text := range files {
		if err == nil {
			err = os.WriteFile(filepath.Join(unfinished, file), text, 0o600)
		}
	}
	if err == nil {
		err = os.Rename(unfinished, target)
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", name, errors.Join(err, os.RemoveAll(unfinished)))
	}
	return nil
}

// spooled is an entry.
type spooled struct {
	path string
	time time.Time
	size int64
}

// makeRoom removes the oldest entries until there is room for so many more bytes and entries.
func (s *spool) makeRoom(bytes int64, entries int) error {
	all, err := s.entries()
	if err != nil {
		return fmt.Errorf("sweep spool: %w", err)
	}
	for _, e := range all {
		bytes += e.size
	}
	entries += len(all)
	for _, e := range all {
		if bytes <= s.most && entries <= maxSpooled {
			break
		}
		if err := os.RemoveAll(e.path); err != nil {
			return fmt.Errorf("sweep spool: %w", err)
		}
		bytes -= e.size
		entries--
	}
	return nil
}

// entries lists the entries, the oldest first.
func (s *spool) entries() ([]spooled, error) {
	names, err := os.ReadDir(s.path)
	if err != nil {
		return nil, err
	}
	var all []spooled
	for _, n := range names {
		if !strings.HasPrefix(n.Name(), disagreementPrefix) && !strings.HasPrefix(n.Name(), policyPrefix) {
			continue
		}
		info, err := n.Info()
		if err != nil {
			return nil, err
		}
		e := spooled{path: filepath.Join(s.path, n.Name()), time: info.ModTime()}
		files, err := os.ReadDir(e.path)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			info, err := f.Info()
			if err != nil {
				return nil, err
			}
			e.size += info.Size()
		}
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b spooled) int {
		return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.path, b.path))
	})
	return all, nil
}
