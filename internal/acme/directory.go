package acme

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	acmez "github.com/mholt/acmez/v3/acme"
)

// directoryAge is how long a CA's directory is believed.
const directoryAge = 12 * time.Hour

// session is the library's client for one directory.
type session struct {
	dir  acmez.Directory
	lib  *acmez.Client
	read time.Time
}

// open gives the library's client, after reading the directory if need be. One that is old is used on when the CA does
// not answer.
func (c *Client) open(ctx context.Context) (*session, error) {
	s, err := c.session.get(ctx,
		func(s *session) bool { return c.now().Sub(s.read).Abs() < directoryAge },
		func(old *session, have bool) (*session, error) {
			s, err := c.readDirectory(ctx)
			if err != nil && have {
				return old, nil
			}
			return s, err
		})
	if err != nil && ctx.Err() != nil {
		return nil, &Error{Step: StepDirectory, Type: TypeCanceled, Detail: "stopped while the CA was asked", Retry: true}
	}
	return s, err
}

func (c *Client) readDirectory(ctx context.Context) (*session, error) {
	var dir acmez.Directory
	if _, err := c.get(ctx, StepDirectory, c.opts.Directory, &dir); err != nil {
		err.over = false // no order ends with it
		return nil, err
	}
	if detail := checkDirectory(dir); detail != "" {
		return nil, &Error{Step: StepDirectory, Type: TypeBadAnswer, Status: http.StatusOK, Detail: detail, Retry: true}
	}
	shown := dir
	// The library would ask for renewal information with each certificate, and wait for it.
	shown.RenewalInfo = ""
	body, err := json.Marshal(shown)
	if err != nil {
		return nil, local(StepDirectory, TypeBadAnswer, "the directory cannot be kept")
	}
	// It keeps directories by their URL for the whole process; one of another content is another one.
	digest := sha256.Sum256(body)
	name := c.opts.Directory + "#" + hex.EncodeToString(digest[:8])
	lib := &acmez.Client{
		Directory: name, HTTPClient: with(c.http, name, body), UserAgent: cmp.Or(c.opts.UserAgent, "weir"),
		PollTimeout: -1, // it looks once; when to look again is ours to say
	}
	return &session{dir: dir, lib: lib, read: c.now()}, nil
}

// checkDirectory says what is wrong with a directory, empty for nothing.
func checkDirectory(d acmez.Directory) string {
	for _, u := range []struct {
		field, url string
		must       bool
	}{
		{"newNonce", d.NewNonce, true},
		{"newAccount", d.NewAccount, true},
		{"newOrder", d.NewOrder, true},
		{"revokeCert", d.RevokeCert, false},
		{"renewalInfo", d.RenewalInfo, false},
	} {
		if (u.must || u.url != "") && checkURL(u.url) != nil {
			return fmt.Sprintf("this is no ACME directory: %s is no https URL", u.field)
		}
	}
	return ""
}

// get asks for something that anybody may see, and says when the CA wants to be asked again; zero when it does not say.
func (c *Client) get(ctx context.Context, step Step, url string, into any) (time.Time, *Error) {
	ctx, k := c.call(ctx, false)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return time.Time{}, local(step, TypeBadInput, "the address is no URL")
	}
	req.Header.Set("User-Agent", cmp.Or(c.opts.UserAgent, "weir"))
	resp, err := c.http.Do(req)
	if err != nil {
		return time.Time{}, k.failed(ctx, step, err)
	}
	body, err := io.ReadAll(resp.Body) // in memory already
	if err != nil || resp.StatusCode != http.StatusOK || k.contentType != "application/json" || json.Unmarshal(body, into) != nil {
		return time.Time{}, k.failed(ctx, step, err)
	}
	return k.retryAfter, nil
}
