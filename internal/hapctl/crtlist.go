package hapctl

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"weir/internal/haproxy"
	"weir/internal/plan"
)

func (c *Client) addCrt(ctx context.Context, op plan.Op) error {
	add, err := NewCommand("add", "ssl", "crt-list", op.Path)
	if err != nil {
		return err
	}
	entry := haproxy.CrtEntry{File: op.File, Options: op.Options, SNI: op.SNI}
	if add, err = add.WithPayload(entry.Line() + "\n"); err != nil {
		return err
	}
	_, err = c.Do(ctx, add)
	return err
}

// delCrt finds the line of the entry first: a file may stand in a list more than once.
func (c *Client) delCrt(ctx context.Context, op plan.Op) error {
	lines, err := c.CrtList(ctx, op.Path)
	if err != nil {
		return err
	}
	entry := haproxy.CrtEntry{File: op.File, Options: op.Options, SNI: op.SNI}
	for _, l := range lines {
		if sameEntry(l, entry) {
			return c.run(ctx, "del", "ssl", "crt-list", op.Path, op.File+":"+strconv.Itoa(l.Line))
		}
	}
	return nil
}

func sameEntry(l haproxy.CrtListLine, want haproxy.CrtEntry) bool {
	a, b := slices.Clone(l.SNI), slices.Clone(want.SNI)
	slices.Sort(a)
	slices.Sort(b)
	return l.File == want.File && slices.Equal(a, b) && sameOptions(l.Options, want.Options)
}

// sameOptions compares crt-list options by their words: HAProxy shows them in an order of its own.
func sameOptions(have, want string) bool {
	a, b := strings.Fields(have), strings.Fields(want)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func (o *observer) lists(ctx context.Context) error {
	for _, k := range o.known.CrtLists {
		lines, err := o.CrtList(ctx, k.Path)
		var refused *Refused
		if errors.As(err, &refused) {
			continue
		}
		if err != nil {
			return err
		}
		o.seen.CrtLists = append(o.seen.CrtLists, listOf(k, lines))
	}
	return nil
}

// listOf puts what HAProxy has in the order and the words of what is known.
func listOf(k haproxy.CrtList, lines []haproxy.CrtListLine) haproxy.CrtList {
	l := haproxy.CrtList{Path: k.Path}
	for _, want := range k.Entries {
		if i := slices.IndexFunc(lines, func(have haproxy.CrtListLine) bool { return sameEntry(have, want) }); i >= 0 {
			l.Entries = append(l.Entries, want)
			lines = slices.Delete(slices.Clone(lines), i, i+1)
		}
	}
	for _, have := range lines {
		l.Entries = append(l.Entries, haproxy.CrtEntry{File: have.File, Options: have.Options, SNI: have.SNI})
	}
	return l
}
