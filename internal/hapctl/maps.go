package hapctl

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"weir/internal/haproxy"
)

// maxMapPayload is the most bytes of a map payload, so that the command fits with its path and end mark.
const maxMapPayload = 15_000

// MapPayloads writes the entries of a map as payloads of «add map», in order, each small enough for one
// command. An entry that HAProxy would read differently is refused by its key: in a payload, a key without a
// value takes the next line for its value, and blanks in front of a key make it empty.
func MapPayloads(pairs []haproxy.MapPair) ([]string, error) {
	var payloads []string
	var b strings.Builder
	for _, p := range pairs {
		if err := checkPair(p); err != nil {
			return nil, err
		}
		size := len(p.Key) + len(p.Value) + 2
		if size > maxMapPayload {
			return nil, fmt.Errorf("write map entry %q: %d bytes are more than %d", p.Key, size, maxMapPayload)
		}
		if b.Len()+size > maxMapPayload {
			payloads = append(payloads, b.String())
			b.Reset()
		}
		b.WriteString(p.Key + " " + p.Value + "\n")
	}
	if b.Len() > 0 {
		payloads = append(payloads, b.String())
	}
	return payloads, nil
}

// Writable says whether an entry can be written into a map as it is; one that somebody has typed there may not be.
func Writable(key, value string) bool {
	return checkPair(haproxy.MapPair{Key: key, Value: value}) == nil
}

func checkPair(p haproxy.MapPair) error {
	bad := func(c rune) bool { return c < ' ' || c == 0x7f }
	switch {
	case p.Key == "" || strings.ContainsRune(p.Key, ' ') || strings.ContainsFunc(p.Key, bad):
		return fmt.Errorf("write map entry %q: a key can't be empty, nor have blanks or control characters", p.Key)
	case p.Key[0] == '#':
		return fmt.Errorf("write map entry %q: a key can't begin with #: in a map file that is a comment", p.Key)
	case p.Value == "" || p.Value[0] == ' ' || strings.ContainsFunc(p.Value, bad):
		return fmt.Errorf("write map entry %q: a value can't be empty, begin with a blank or have control characters", p.Key)
	}
	return nil
}

// ReplaceMap gives a map a new content at once: nobody sees a half of it. When it fails, the map is as before.
func (c *Client) ReplaceMap(ctx context.Context, path string, pairs []haproxy.MapPair) error {
	payloads, err := MapPayloads(pairs)
	if err != nil {
		return err
	}
	version, err := ask(ctx, c, haproxy.ParseMapVersion, "prepare", "map", path)
	if err != nil {
		return err
	}
	at := "@" + strconv.Itoa(version)
	adds := make([]Command, len(payloads))
	for i, p := range payloads {
		cmd, err := NewCommand("add", "map", at, path)
		if err != nil {
			return err
		}
		if adds[i], err = cmd.WithPayload(p); err != nil {
			return err
		}
	}
	// The commit is not in the same batch: after a refused part it would make a half visible.
	if _, err := c.DoAll(ctx, adds...); err != nil {
		return err
	}
	commit, err := NewCommand("commit", "map", at, path)
	if err != nil {
		return err
	}
	_, err = c.Do(ctx, commit)
	return err
}
