package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"weir/internal/ir"
	"weir/internal/secrets"
)

// quarantine holds the resources that HAProxy refused: as long as one comes in the same form, its last good
// form stands in for it, or nothing does. It is kept on disk, so that a restart of everything knows it still.
type quarantine struct {
	path  string
	held  map[string]held
	clock func() time.Time
	// version is HAProxy's.
	version string
}

// held is one refused form of a resource.
type held struct {
	// Hash is that of the refused body.
	Hash string `json:"hash"`
	// Owner is the object, Reason HAProxy's own words.
	Owner  string    `json:"owner"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	// Around is what else it depends on whether HAProxy takes it: another Tuning or HAProxy may.
	Around string `json:"around,omitempty"`
	// Passes says what ends it though the object stays as it is.
	Passes passing `json:"passes,omitempty"`
	// Good is the body that stands in; empty for none.
	Good json.RawMessage `json:"good,omitempty"`
	// TooNew says that this agent does not understand it, whatever HAProxy would say.
	TooNew bool `json:"tooNew,omitempty"`
}

// openQuarantine reads the file; one that can't be read is put aside, and everything is tried again.
func openQuarantine(path, version string, clock func() time.Time, log *slog.Logger) (*quarantine, error) {
	q := &quarantine{path: path, held: map[string]held{}, clock: clock, version: version}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return q, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open quarantine: %w", err)
	}
	if err := json.Unmarshal(raw, &q.held); err != nil || q.held == nil {
		log.Warn("the list of what is in quarantine can't be read; it is put aside and everything is tried again", "file", path, "aside", path+".broken", "error", err)
		q.held = map[string]held{}
		if err := os.Rename(path, path+".broken"); err != nil {
			return nil, fmt.Errorf("open quarantine: %w", err)
		}
	}
	// This agent may be a newer one, and judges by itself.
	maps.DeleteFunc(q.held, func(_ string, h held) bool { return h.TooNew })
	return q, nil
}

// setAside puts resources away that this agent does not understand, by what about them. good are the resources that
// HAProxy last ran with.
func (q *quarantine) setAside(list []*ir.Resource, why []error, good []*ir.Resource) error {
	known := make(map[string]*ir.Resource, len(good))
	for _, g := range good {
		known[g.ID] = g
	}
	for i, r := range list {
		h := held{Hash: bodyHash(r.JSON()), Owner: ir.Owner(r.ID), Reason: why[i].Error(), Since: q.clock(), TooNew: true}
		if g, ok := known[r.ID]; ok && ir.Understand(g) == nil {
			h.Good = g.JSON()
		}
		q.held[r.ID] = h
	}
	return q.save()
}

func bodyHash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:12])
}

// effective gives the resources with the held ones replaced. What has changed since, is gone or is to be judged by
// another Tuning or HAProxy is released.
func (q *quarantine) effective(list []*ir.Resource) ([]*ir.Resource, error) {
	if len(q.held) == 0 {
		return list, nil
	}
	out := make([]*ir.Resource, 0, len(list))
	still := map[string]bool{}
	around := q.around(list)
	for _, r := range list {
		h, ok := q.held[r.ID]
		if !ok || h.Hash != bodyHash(r.JSON()) || h.Around != around(r.ID) && !h.TooNew {
			out = append(out, r)
			continue
		}
		still[r.ID] = true
		if len(h.Good) > 0 {
			out = append(out, ir.NewResource(r.ID, h.Good))
		}
	}
	if len(still) == len(q.held) {
		return out, nil
	}
	for id := range q.held {
		if !still[id] {
			delete(q.held, id)
		}
	}
	return out, q.save()
}

// around gives what a resource's form is judged by besides itself.
func (q *quarantine) around(list []*ir.Resource) func(id string) string {
	tuning := ""
	for _, r := range list {
		if r.ID == "tuning" {
			tuning = " " + bodyHash(r.JSON())
		}
	}
	return func(id string) string {
		if id == "tuning" {
			return q.version
		}
		return q.version + tuning
	}
}

// holdUntil is hold for a reason that may pass though the object stays as it is.
func (q *quarantine) holdUntil(passes passing, ids []string, list, good []*ir.Resource, owner, reason string) (bool, error) {
	changed, err := q.hold(ids, list, good, owner, reason)
	if !changed || err != nil || passes == "" {
		return changed, err
	}
	for _, id := range ids {
		if h, ok := q.held[id]; ok {
			h.Passes = passes
			q.held[id] = h
		}
	}
	return true, q.save()
}

// hold puts resources away for a reason. good are the resources that HAProxy last ran with. It says whether
// anything is held now that wasn't before: if not, holding doesn't help.
func (q *quarantine) hold(ids []string, list, good []*ir.Resource, owner, reason string) (bool, error) {
	changed := false
	around := q.around(list)
	for _, id := range ids {
		i := slices.IndexFunc(list, func(r *ir.Resource) bool { return r.ID == id })
		if i < 0 || id == "self" || id == "group" {
			continue
		}
		h := held{Hash: bodyHash(list[i].JSON()), Owner: owner, Reason: clip(reason, 1000), Since: q.clock(), Around: around(id)}
		if old, ok := q.held[id]; ok && old.Hash == h.Hash {
			// The form that stood in is refused as well.
			if len(old.Good) == 0 {
				continue
			}
		} else if j := slices.IndexFunc(good, func(r *ir.Resource) bool { return r.ID == id }); j >= 0 && bodyHash(good[j].JSON()) != h.Hash {
			h.Good = good[j].JSON()
		}
		q.held[id] = h
		changed = true
	}
	if !changed {
		return false, nil
	}
	return true, q.save()
}

func (q *quarantine) save() error {
	raw, err := json.Marshal(q.held)
	if err != nil {
		return fmt.Errorf("save quarantine: %w", err)
	}
	return secrets.WriteFile(q.path, raw, 0o600)
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// resourcesOf gives the IDs of the resources that an owner's line or operation comes from.
func resourcesOf(owner string, list []*ir.Resource) []string {
	kind, name, _ := strings.Cut(owner, "/")
	prefix, ok := map[string]string{
		"IPAddress": "address/", "Site": "site/", "Pool": "pool/", "AccessList": "list/", "Map": "map/",
		"ErrorPage": "page/", "RateLimit": "limit/", "Logic": "logic/", "Schedule": "schedule/", "Split": "split/", "EgressClient": "client/", "SLA": "sla/", "EgressRule": "rule/", "Certificate": "certificate/",
	}[kind]
	switch {
	case ok:
		return []string{prefix + name}
	case kind == "Tuning":
		return []string{"tuning"}
	case kind == "Partner":
		var ids []string
		for _, r := range list {
			if strings.HasPrefix(r.ID, "pool/"+name+".") {
				ids = append(ids, r.ID)
			}
		}
		return ids
	case kind == "Server":
		var ids []string
		for _, r := range list {
			if strings.HasPrefix(r.ID, "server/") && strings.HasSuffix(r.ID, "/"+name) {
				ids = append(ids, r.ID)
			}
		}
		return ids
	}
	return nil
}
