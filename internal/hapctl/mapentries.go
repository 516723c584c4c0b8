package hapctl

import (
	"context"
	"errors"
	"strings"

	"weir/internal/haproxy"
	"weir/internal/plan"
)

// deleteEntries carries out operations of the kind plan.MapDel. What somebody else added to a map may have a key that no
// command can name, or another one than HAProxy shows; then the entries are taken by their references.
func (c Executor) deleteEntries(ctx context.Context, ops []plan.Op) error {
	for _, op := range ops {
		if !nameable(op.Key) {
			return c.deleteByReference(ctx, ops)
		}
	}
	err := c.executeCommands(ctx, ops)
	if refused := (*Refused)(nil); errors.As(err, &refused) && strings.Contains(refused.Text, "Key not found") {
		return c.deleteByReference(ctx, ops)
	}
	return err
}

// pairsOf gives what a map is exchanged for, but what somebody else typed there that can't be written: that is on its way
// out, and must not keep anything from coming in.
func pairsOf(entries []haproxy.Entry) []haproxy.MapPair {
	pairs := make([]haproxy.MapPair, 0, len(entries))
	for _, e := range entries {
		if e.Owner != "" || Writable(e.Key, e.Value) {
			pairs = append(pairs, haproxy.MapPair{Key: e.Key, Value: e.Value})
		}
	}
	return pairs
}

// nameable says whether «del map» can name a key; one that begins with # it takes for a reference.
func nameable(key string) bool {
	_, err := Escape(key)
	return err == nil && key[0] != '#'
}

// deleteByReference deletes the entries that are shown with the operations' keys; what is not there is deleted.
func (c Executor) deleteByReference(ctx context.Context, ops []plan.Op) error {
	keys := map[string]map[string]bool{}
	for _, op := range ops {
		if keys[op.Path] == nil {
			keys[op.Path] = map[string]bool{}
		}
		keys[op.Path][op.Key] = true
	}
	for path, keys := range keys {
		find := func(text string) ([]string, error) { return haproxy.ParseMapReferences(text, keys) }
		references, err := ask(ctx, c.Client, find, "show", "map", path)
		if err != nil {
			return err
		}
		cmds := make([]Command, len(references))
		for i, r := range references {
			if cmds[i], err = NewCommand("del", "map", path, r); err != nil {
				return err
			}
		}
		if len(cmds) == 0 {
			continue
		}
		if _, err := c.DoAll(ctx, cmds...); err != nil {
			return err
		}
	}
	return nil
}
