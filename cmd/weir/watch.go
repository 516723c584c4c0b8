package main

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"weir"
)

// lookAgain is how often the state of watched objects is read when nobody changes them.
const lookAgain = 2 * time.Second

// follow prints objects, and each again whenever something that is shown of it changes, until Ctrl-C.
func (f *getFlags) follow(cmd *cobra.Command, c *client, kind weir.Kind, names []string) error {
	if *f.output != "table" && *f.output != "name" {
		return usagef("--watch prints a table or names; for programs there is ?watch=true of the API")
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	changed := c.changes(ctx, kind)
	s := stdout(cmd)
	shown := map[string]string{}
	var head *table
	for {
		objects, err := f.read(ctx, c, kind, names)
		switch {
		case cmd.Context().Err() != nil:
			return cmd.Context().Err()
		case isStatus(err, 404) && head != nil:
			objects = nil
		case err != nil && (head == nil || !again(err)):
			return err
		case err != nil:
			noted(cmd.ErrOrStderr(), "weir: %s; trying again", headline(err))
		}
		if err == nil || isStatus(err, 404) {
			head = f.news(ctx, c, s, kind, objects, shown, head)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-time.After(lookAgain):
		}
	}
}

// news prints the rows that differ from what was shown last.
func (f *getFlags) news(ctx context.Context, c *client, s *screen, kind weir.Kind, objects []*object, shown map[string]string, head *table) *table {
	t := newTableOf(ctx, c, kind, objects)
	there := map[string]bool{}
	var rows [][]cell
	for i, row := range t.rows {
		name := objects[i].Metadata.Name
		there[name] = true
		key := ""
		for j, c := range row {
			if !t.columns[j].restless {
				key += c.text + "\x00"
			}
		}
		if shown[name] != key {
			shown[name] = key
			rows = append(rows, row)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(shown)) {
		if !there[name] {
			delete(shown, name)
			gone := make([]cell, len(t.columns))
			gone[0], gone[1] = cell{name, faint}, cell{"deleted", bad}
			rows = append(rows, gone)
		}
	}
	switch {
	case *f.output == "name":
		for _, row := range rows {
			s.printf("%s/%s\n", kind.Name, row[0].text)
		}
		return t
	case head == nil || head.widths == nil:
		t.print(s)
		return t
	}
	head.rows = rows
	head.printRows(s)
	return head
}

// changes gives a signal when objects of a kind are written. It is only there to be quick: without it, things
// are looked at every now and then.
func (c *client) changes(ctx context.Context, kind weir.Kind) <-chan struct{} {
	signal := make(chan struct{}, 1)
	go func() {
		for ctx.Err() == nil {
			err := c.stream(ctx, kind.Plural, url.Values{"watch": {"true"}}, func(line streamLine) (bool, error) {
				if line.Type == "put" || line.Type == "delete" {
					select {
					case signal <- struct{}{}:
					default:
					}
				}
				return false, nil
			})
			if err != nil && !errors.Is(err, errEnded) && !again(err) {
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(lookAgain):
			}
		}
	}()
	return signal
}
