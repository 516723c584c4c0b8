package filesd

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"weir/internal/discovery/httpget"
)

// timeout bounds one question and its answer.
const timeout = 30 * time.Second

// page is a list at a URL.
type page struct {
	config Config
	url    *url.URL
	http   *httpget.Client
	etag   string // of what was taken last, if it had one
}

func newPage(c Config, u *url.URL) *page {
	if c.Interval == 0 {
		c.Interval = urlInterval
	}
	return &page{config: c, url: u, http: httpget.New(c.Dial, c.TLS)}
}

func (p *page) close() { p.http.Close() }

func (p *page) pause(failures int) time.Duration {
	if failures > 0 {
		return p.config.Clock.Backoff(failures)
	}
	return p.config.Clock.Spread(p.config.Interval)
}

func (p *page) look(ctx context.Context) (*list, error) {
	header := http.Header{
		"Accept": {"application/json, application/yaml;q=0.9"},
		// What Prometheus sends, by which some servers decide.
		"X-Prometheus-Refresh-Interval-Seconds": {strconv.FormatFloat(p.config.Interval.Seconds(), 'f', -1, 64)},
	}
	if p.config.Token != "" {
		header.Set("Authorization", "Bearer "+p.config.Token)
	}
	if p.etag != "" {
		header.Set("If-None-Match", p.etag)
	}
	a, err := p.http.Get(ctx, p.url, header, timeout)
	switch {
	case err != nil:
		return nil, err
	case a.Status == http.StatusNotModified && p.etag != "":
		return nil, nil
	case a.Status != http.StatusOK:
		return nil, p.refused(a)
	}
	return &list{body: a.Body, format: p.format(a.Header), etag: a.Header.Get("ETag")}, nil
}

// took keeps the tag of a list that made sense only, so that another one is given again, and refused again.
func (p *page) took(l *list, err error) {
	if err == nil {
		p.etag = l.etag
	}
}

func (p *page) format(h http.Header) string {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case p.config.Format != "":
	case strings.HasSuffix(kind, "json"):
		return formatJSON
	case strings.HasSuffix(kind, "yaml"):
		return formatYAML
	}
	return formatOf(p.config, p.url.Path)
}

// refused says what the server said, and what can be done about it.
func (p *page) refused(a *httpget.Answer) error {
	text := fmt.Sprintf("HTTP %d", a.Status)
	if said := httpget.OneLine(string(a.Body[:min(len(a.Body), 1000)]), 200, p.config.Token); said != "" {
		text += ": " + said
	}
	switch a.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		text += "; give a token that may read it"
	case http.StatusNotFound, http.StatusNoContent:
		text += "; let it answer 200 with [] if there are no targets"
	}
	return errors.New(text)
}

// failed names the URL without what follows ?, which may be a secret.
func (p *page) failed(err error) error {
	where := *p.url
	where.RawQuery, where.ForceQuery = "", false
	return httpget.Failure("read targets from "+where.Redacted(), err, p.config.Token)
}
