// Package filesd watches a list of targets in Prometheus' file-SD format: groups of targets and labels, as JSON or YAML,
// in a file or at an HTTP(S) URL, so that whatever makes such lists for Prometheus can make them for Weir.
//
// A file is looked at every half second, and read when it has changed and two looks on end see it the same, so that one
// that is being written is not taken by half; a file that nobody has touched for two seconds is read at once. Better is
// to write beside it and rename. A URL is asked every half minute, with If-None-Match when its answers have an ETag.
//
// There is one part, targets. Each target is an instance, always Ready, since the format has no word for health. Its ID
// is the target itself. Its fields are:
//
//	target        as it stands in the list, host:port or host
//	address       the host; of an IPv6 address without brackets
//	port          if there is one
//	label.NAME    a label of its group
//
// A list is taken whole or not at all, as by Prometheus: one group with an unknown key, one target that is no host:port,
// or the same target twice, and what was there before stands. An empty list is written [].
package filesd

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"weir/internal/discovery"
	"weir/internal/discovery/httpget"
)

// Part is the name of the one part of such a source.
const Part = "targets"

// How often is looked when it is not said, and the bounds of that.
const (
	fileInterval = 500 * time.Millisecond
	urlInterval  = 30 * time.Second
	minInterval  = 100 * time.Millisecond
	minAsked     = time.Second
	maxInterval  = time.Hour
)

// Config says where the list is. It has either a Path or a URL.
type Config struct {
	// Path is a file's, from the root on; or below Root, out of which no link leads.
	Path string
	// Root is a folder that the file is in; nil for any.
	Root *os.Root
	// URL begins with http:// or https://.
	URL string
	// Format is json or yaml. If it is empty an answer's content type says it, then the end of the path, .json, .yml or
	// .yaml; else it is json.
	Format string
	// Interval is how long lies between two looks: half a second for a file and half a minute for a URL if it is zero. Up
	// to a quarter less by chance for a URL.
	Interval time.Duration
	// Token is sent to the URL as a bearer's.
	Token string

	// TLS and Dial are for connections to the URL; nil is the usual.
	TLS  *tls.Config
	Dial httpget.Dial
	// Clock is for tests.
	Clock discovery.Clock
}

// Check says what is wrong with it.
func (c Config) Check() error {
	least := minInterval
	switch {
	case (c.Path == "") == (c.URL == ""):
		return errors.New("targets: name either a file or a URL")
	case c.Path != "":
		if c.Root == nil && !filepath.IsAbs(c.Path) || strings.ContainsRune(c.Path, 0) {
			return fmt.Errorf("file of targets: %q is no path from the root on", c.Path)
		}
		if c.Root != nil && !filepath.IsLocal(c.Path) {
			return fmt.Errorf("file of targets: %q is no path below the folder of such files", c.Path)
		}
		if c.Token != "" {
			return errors.New("token: a file takes none")
		}
	default:
		least = minAsked
		if _, err := httpget.CheckURL(c.URL); err != nil {
			return fmt.Errorf("URL of targets: %w", err)
		}
		if strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return errors.New("token: it holds spaces or characters that do not print")
		}
	}
	if c.Format != "" && c.Format != formatJSON && c.Format != formatYAML {
		return fmt.Errorf("format: %q is neither %s nor %s", c.Format, formatJSON, formatYAML)
	}
	if c.Interval != 0 && (c.Interval < least || c.Interval > maxInterval) {
		return fmt.Errorf("interval: it must be from %s to %s", least, maxInterval)
	}
	return nil
}

// Source is a list that is watched. Make one with New.
type Source struct {
	config Config
	url    *url.URL
}

// New makes a Source; nothing is read before it is watched.
func New(c Config) (*Source, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	s := &Source{config: c}
	if c.URL != "" {
		var err error
		if s.url, err = httpget.CheckURL(c.URL); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// place is where a list is.
type place interface {
	// look gives the list if there is another one than was taken last, nil if not.
	look(ctx context.Context) (*list, error)
	// took says what came of reading a list.
	took(*list, error)
	// pause is how long to wait before the next look, after so many failures on end.
	pause(failures int) time.Duration
	// failed says of what the error is.
	failed(err error) error
	close()
}

// list is the text of one.
type list struct {
	body   []byte
	format string
	etag   string
}

func (s *Source) place() place {
	if s.url != nil {
		return newPage(s.config, s.url)
	}
	return &file{config: s.config}
}

// Watch tells sink what is there, and each change, until ctx ends.
func (s *Source) Watch(ctx context.Context, sink discovery.Sink) {
	var (
		p         = s.place()
		failures  int
		told      bool
		sum, last [sha256.Size]byte
	)
	defer p.close()
	for {
		found, fresh, err := see(ctx, p)
		if ctx.Err() != nil {
			return
		}
		if fresh {
			sum = discovery.Sum(found)
		}
		switch {
		case errors.Is(err, errSettling):
			// It is neither a failure nor an answer.
		case err != nil:
			failures++
			sink.Failed(p.failed(err))
		case fresh && (!told || sum != last):
			failures, told, last = 0, true, sum
			sink.Part(Part, found)
			sink.Whole([]string{Part})
		default:
			failures = 0
			sink.Alive()
		}
		if !s.config.Clock.Pause(ctx, p.pause(failures)) {
			return
		}
	}
}

func see(ctx context.Context, p place) (found []discovery.Found, fresh bool, err error) {
	l, err := p.look(ctx)
	if err != nil || l == nil {
		return nil, false, err
	}
	found, err = read(l)
	p.took(l, err)
	if err != nil {
		return nil, false, err
	}
	return found, true, nil
}

// formatOf tells the format by the end of a path.
func formatOf(c Config, name string) string {
	if c.Format != "" {
		return c.Format
	}
	if ext := strings.ToLower(path.Ext(name)); ext == ".yml" || ext == ".yaml" {
		return formatYAML
	}
	return formatJSON
}
