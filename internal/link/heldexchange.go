package link

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/secrets"
)

// Control planes that share a store and are held ask each other what their agents have told, when a plan is wanted:
// first for the list of agents, then for those contents that they have not.

// heldLine is a line of that list.
type heldLine struct {
	Name   string          `json:"name,omitempty"`
	Had    string          `json:"had,omitempty"`
	Tells  bool            `json:"tells,omitempty"`
	Common *Hash           `json:"common,omitempty"`
	Self   json.RawMessage `json:"self,omitempty"`
	Why    string          `json:"why,omitempty"`
	// Stranger is an agent of a load balancer that does not exist.
	Stranger *Stranger `json:"stranger,omitempty"`
}

// gatherPatience is how long another control plane may take for one answer.
const gatherPatience = 20 * time.Second

// packed compresses quickly.
func packed(text []byte) ([]byte, error) {
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestSpeed)
	if err == nil {
		_, err = w.Write(text)
	}
	if err != nil {
		return nil, err
	}
	err = w.Close()
	return z.Bytes(), err
}

// tellHeld serves another control plane: the list, or one content.
func (h *Hub) tellHeld(w http.ResponseWriter, r *http.Request) error {
	if peer := h.opts.CA.Trust().Peer(r.TLS, h.opts.Now()); peer.State != secrets.PeerControlPlane {
		return refuse(http.StatusForbidden, string(weir.Forbidden), "only another control plane of this store is told what agents have")
	}
	text, err := h.heldText(r.URL.Query().Get("content"))
	if err != nil {
		return err
	}
	body, err := packed(text)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(gatherPatience))
	_, _ = w.Write(body) // an error means that the other side is gone
	return nil
}

func (h *Hub) heldText(content string) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if content == "" {
		return h.heldList()
	}
	var common Hash
	if err := common.UnmarshalText([]byte(content)); err != nil {
		return nil, refuse(http.StatusBadRequest, string(weir.Invalid), "%s", err)
	}
	if h.held == nil || h.held.contents[common] == nil {
		return nil, refuse(http.StatusNotFound, string(weir.NotFound), "that is not known here")
	}
	return appendCommit(appendPut(appendStart(nil, h.opts.Epoch, true), h.held.contents[common].list), 0, common), nil
}

func (h *Hub) heldList() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	for _, one := range h.Strangers() {
		if err := enc.Encode(heldLine{Stranger: &one}); err != nil {
			return nil, err
		}
	}
	if h.held == nil {
		return out.Bytes(), nil
	}
	for name, a := range h.held.agents {
		if !a.own {
			continue
		}
		line := heldLine{Name: name, Tells: a.tells, Why: a.why}
		if a.had != nil {
			line.Had = a.had.String()
		}
		if h.recognise(name, a) {
			line.Common, line.Self = a.common, json.RawMessage(a.self.Body)
		}
		if err := enc.Encode(line); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// Gather takes over what the agents of another control plane of the store have told that, for Told and Strangers.
// show gives the certificate of this control plane.
func (h *Hub) Gather(ctx context.Context, url string, show func() (secrets.ClientConfig, error)) error {
	config, err := show()
	if err != nil {
		return err
	}
	t, err := transport(url, config)
	if err != nil {
		return err
	}
	defer t.CloseIdleConnections()
	text, err := fetchHeld(ctx, t, url+heldPath)
	if err != nil {
		return err
	}
	lines := json.NewDecoder(bytes.NewReader(text))
	for {
		var line heldLine
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read what agents have: %s", jsonFault(err))
		}
		if err := h.heldOf(ctx, t, url, line); err != nil {
			return err
		}
	}
}

// heldOf takes one line over.
func (h *Hub) heldOf(ctx context.Context, t http.RoundTripper, url string, line heldLine) error {
	if line.Stranger != nil {
		h.strangers.note(*line.Stranger)
		return nil
	}
	a := &heldAgent{tells: line.Tells, why: line.Why}
	if line.Had != "" {
		had, err := ParseResume(line.Had)
		if err != nil {
			return err
		}
		a.had = &had
	}
	var content []*ir.Resource
	if line.Common != nil && a.had != nil {
		self := newSelf(&ir.Resource{ID: "self", Body: line.Self})
		if line.Common.xor(self.hash) != a.had.Hash {
			return errDiverged
		}
		a.common, a.self = line.Common, self
		if !h.knows(*line.Common) {
			text, err := fetchHeld(ctx, t, url+heldPath+"?content="+line.Common.String())
			if err != nil {
				return err
			}
			has, err := readContent(&io.LimitedReader{R: bytes.NewReader(text), N: maxTell + 1})
			if err != nil {
				return err
			}
			if has.hash != *line.Common {
				return errDiverged
			}
			content = has.list
		}
	}
	return h.adopt(line.Name, a, content)
}

func (h *Hub) knows(common Hash) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held == nil || h.held.contents[common] != nil
}

func (h *Hub) adopt(name string, a *heldAgent, content []*ir.Resource) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		return nil
	}
	if content != nil {
		if err := h.held.keep(*a.common, content); err != nil {
			return err
		}
	}
	if before := h.held.agents[name]; before != nil && before.own && (before.common != nil || a.common == nil) {
		return nil
	}
	h.held.agents[name] = a
	return nil
}

func fetchHeld(ctx context.Context, t http.RoundTripper, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, gatherPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, readRefusal(resp)
	}
	z, err := gzip.NewReader(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read what agents have: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(z, maxTell+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read what agents have: %w", err)
	case len(text) > maxTell:
		return nil, fmt.Errorf("read what agents have: it is longer than %d bytes", maxTell)
	}
	return text, nil
}
