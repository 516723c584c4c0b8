package agent

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/plan"
	"weir/internal/weirtest"
)

// likeFresh holds the running HAProxy against a fresh one that reads a copy of the files. The copy listens at
// other addresses: the test's network is exchanged for another one everywhere, and back in what is read.
func (w *walk) likeFresh() {
	w.t.Helper()
	other := weirtest.Prefix(w.t)
	ours, theirs := network(w.sites.String()), network(other.String())
	dir := weirtest.TempDir(w.t)
	copyFolder(w, dir, ours, theirs)
	if err := hapctl.Check(w.t.Context(), w.options.Path, dir, haproxy.ConfigFile); err != nil {
		w.fail("the files on disk: %v", err)
	}
	options := w.options
	options.Dir = dir
	process, err := hapctl.Start(w.t.Context(), options)
	if err != nil {
		w.fail("fresh: %v", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = process.Stop(ctx)
	}()
	fresh, err := process.Client().Observe(w.t.Context(), exchanged(w, w.want, ours, theirs))
	if err != nil {
		w.fail("fresh: %v", err)
	}
	fresh = exchanged(w, fresh, theirs, ours)
	fresh.Sections = w.want.Sections
	running := w.readBack()
	if !plan.Equivalent(running, fresh) {
		p := plan.Diff(running, fresh)
		w.fail("the running HAProxy is not what a fresh one is; it would take\n%s", script(p))
	}
	a, b := w.statOf(w.process.Client()), w.statOf(process.Client())
	for name, row := range b {
		if a[name] != row {
			w.fail("%s is\n  %s\nand in a fresh HAProxy\n  %s", name, a[name], row)
		}
	}
	for name, row := range a {
		if _, ok := b[name]; !ok {
			w.fail("%s (%s) is not there in a fresh HAProxy", name, row)
		}
	}
	w.seen.Fresh++
}

// network gives the part of addresses that all of a /24 have, "127.1.2.".
func network(prefix string) string { return prefix[:strings.LastIndexByte(prefix, '.')+1] }

func copyFolder(w *walk, dir, ours, theirs string) {
	w.t.Helper()
	root := w.folder.dir
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(dir, rel), 0o700)
		}
		if !d.Type().IsRegular() || rel == haproxy.StateFile {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		// Nor can two listen at one abstract socket.
		moved := strings.NewReplacer(ours, theirs, "abns@weir-again-", "abns@weir-fresh-").Replace(string(text))
		return os.WriteFile(filepath.Join(dir, rel), []byte(moved), 0o600)
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, haproxy.StateFile), nil, 0o600)
	}
	if err != nil {
		w.fail("copy: %v", err)
	}
}

func exchanged(w *walk, c haproxy.Config, from, to string) haproxy.Config {
	w.t.Helper()
	raw, err := json.Marshal(c)
	if err != nil {
		w.fail("%v", err)
	}
	var out haproxy.Config
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(raw), from, to)), &out); err != nil {
		w.fail("%v", err)
	}
	return out
}

// statOf gives, by name, the columns of «show stat» that come from the configuration, which no read-back of
// Weir's own looks at: the two don't share their blind spots.
func (w *walk) statOf(client *hapctl.Client) map[string]string {
	w.t.Helper()
	cmd, err := hapctl.NewCommand("show", "stat")
	if err != nil {
		w.fail("%v", err)
	}
	answer, err := client.Do(w.t.Context(), cmd)
	if err != nil {
		w.fail("%v", err)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(answer.Text, "# "))).ReadAll()
	if err != nil {
		w.fail("%v", err)
	}
	out := map[string]string{}
	column := func(row []string, name string) string {
		i := slices.Index(rows[0], name)
		if i < 0 {
			w.fail("show stat has no column %s", name)
		}
		return row[i]
	}
	for _, row := range rows[1:] {
		names := []string{"type", "mode", "algo", "cookie"}
		if column(row, "type") == "0" {
			continue // a frontend that nobody asks for stays until the next reload
		}
		isServer := column(row, "type") == "2"
		if isServer {
			names = append(names, "slim", "qlimit", "addr", "check_rise", "check_fall", "uweight")
		}
		var words []string
		for _, name := range names {
			words = append(words, name+"="+column(row, name))
		}
		if isServer {
			words = append(words, "checked="+fmt.Sprint(column(row, "check_status") != ""), "disabled="+fmt.Sprint(strings.HasPrefix(column(row, "status"), "MAINT")))
		}
		out[column(row, "pxname")+"/"+column(row, "svname")] = strings.Join(words, " ")
	}
	return out
}
