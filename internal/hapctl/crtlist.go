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

func addCrt(op plan.Op) (Command, error) {
	add, err := NewCommand("add", "ssl", "crt-list", op.Path)
	if err != nil {
		return Command{}, err
	}
	entry := haproxy.CrtEntry{File: op.File, Options: op.Options, SNI: op.SNI}
	return add.WithPayload(entry.Line() + "\n")
}

// delCrts takes lines from the list that the first of some operations is about. It finds them first: a file may stand in
// a list more than once.
func (c *Client) delCrts(ctx context.Context, ops []plan.Op) error {
	lines, err := c.CrtList(ctx, ops[0].Path)
	if err != nil {
		return opError(ops[0], err)
	}
	byEntry := map[string][]int{}
	for _, l := range lines {
		key := entryKey(l.File, l.Options, l.SNI)
		byEntry[key] = append(byEntry[key], l.Line)
	}
	var cmds []Command
	var of []plan.Op
	for _, op := range ops {
		key := entryKey(op.File, op.Options, op.SNI)
		if len(byEntry[key]) == 0 {
			continue
		}
		cmd, err := NewCommand("del", "ssl", "crt-list", op.Path, op.File+":"+strconv.Itoa(byEntry[key][0]))
		if err != nil {
			return opError(op, err)
		}
		byEntry[key] = byEntry[key][1:]
		cmds, of = append(cmds, cmd), append(of, op)
	}
	_, err = c.DoAll(ctx, cmds...)
	var refused *Refused
	if err = first(err); errors.As(err, &refused) {
		return &OpError{of[refused.Index], refused}
	}
	return err
}

// delCrtLength counts the lines of one list that operations begin by taking away.
func delCrtLength(ops []plan.Op) int {
	n := 0
	for n < len(ops) && n < maxBatch && ops[n].Kind == plan.DelCrt && ops[n].Path == ops[0].Path {
		n++
	}
	return n
}

// entryKey is the same for entries that differ in the order of names and options at most, in which HAProxy shows them
// in an order of its own.
func entryKey(file, options string, sni []string) string {
	words, names := strings.Fields(options), slices.Clone(sni)
	slices.Sort(words)
	slices.Sort(names)
	return file + "\n" + strings.Join(words, " ") + "\n" + strings.Join(names, " ")
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
	l := haproxy.CrtList{Path: k.Path, Entries: make([]haproxy.CrtEntry, 0, len(lines))}
	byEntry := make(map[string][]int, len(lines))
	for i, have := range lines {
		key := entryKey(have.File, have.Options, have.SNI)
		byEntry[key] = append(byEntry[key], i)
	}
	known := make([]bool, len(lines))
	for _, want := range k.Entries {
		key := entryKey(want.File, want.Options, want.SNI)
		if at := byEntry[key]; len(at) > 0 {
			l.Entries, known[at[0]], byEntry[key] = append(l.Entries, want), true, at[1:]
		}
	}
	for i, have := range lines {
		if !known[i] {
			l.Entries = append(l.Entries, haproxy.CrtEntry{File: have.File, Options: have.Options, SNI: have.SNI})
		}
	}
	return l
}
