package dns01

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// hooksOf makes a folder with programs, each a shell script.
func hooksOf(t *testing.T, programs map[string]string, edit func(*HookOptions)) (*Hooks, string) {
	t.Helper()
	folder := filepath.Join(weirtest.TempDir(t), "hooks")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, script := range programs {
		writeProgram(t, filepath.Join(folder, name), script, 0o755)
	}
	o := HookOptions{Folder: folder, Timeout: time.Minute}
	if edit != nil {
		edit(&o)
	}
	h, err := NewHooks(o)
	if err != nil {
		t.Fatal(err)
	}
	return h, folder
}

func writeProgram(t *testing.T, path, script string, mode os.FileMode) {
	t.Helper()
	syscall.ForkLock.RLock() // a child that has it open for writing would keep it from being run
	err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func hook(t *testing.T, h *Hooks, program string) *Hook {
	t.Helper()
	s, err := h.Solver(program, Proof{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	_ Solver = (*Hook)(nil)
	_ Solver = (*Updater)(nil)
)

func TestProgramsThatAreRefused(t *testing.T) {
	t.Parallel()
	h, folder := hooksOf(t, map[string]string{"good": "exit 0", "group": "exit 0", "world": "exit 0", "plain": "exit 0", ".hidden": "exit 0", "foreign": "exit 0"}, nil)
	outside := filepath.Join(filepath.Dir(folder), "outside")
	writeProgram(t, outside, "exit 0", 0o755)
	chmod := func(name string, mode os.FileMode) {
		if err := os.Chmod(filepath.Join(folder, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	chmod("group", 0o775)
	chmod("world", 0o757)
	chmod("plain", 0o644)
	link(outside, "absolute")
	link("../outside", "relative")
	link("good", "alias")
	link("nothing", "dangling")
	link("ring", "ring")
	if err := os.MkdirAll(filepath.Join(folder, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeProgram(t, filepath.Join(folder, "sub", "deep"), "exit 0", 0o755)
	link("sub/deep", "deeper")
	if err := syscall.Mkfifo(filepath.Join(folder, "fifo"), 0o755); err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		"good": "", "alias": "",
		"group": "its group or everybody may write to it (mode 0775); chmod go-w it", "world": "(mode 0757)", "plain": "it is not executable",
		"absolute": "leads out of the folder", "relative": "leads out of the folder", "deeper": "leads out of the folder",
		"dangling": "no such file", "ring": "too many links", "missing": "no such file", "sub": "no regular file", "fifo": "no regular file",
		".hidden": "a program is named by", "../outside": "a program is named by", "sub/deep": "a program is named by", outside: "a program is named by",
		"": "a program is named by", ".": "a program is named by", "..": "a program is named by", "-c": "a program is named by", "a b": "a program is named by",
		"good\n": "a program is named by", "good\x00": "a program is named by", strings.Repeat("x", 65): "a program is named by",
	}
	if os.Getuid() == 0 {
		if err := os.Chown(filepath.Join(folder, "foreign"), 65534, 0); err != nil {
			t.Fatal(err)
		}
		cases["foreign"] = "it belongs to the user 65534"
	}
	for program, want := range cases {
		_, err := h.Solver(program, Proof{})
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", program, err)
			} else if err := hook(t, h, program).Present(long(t), Record{"www.example.com", "v"}); err != nil {
				t.Errorf("%q: %v", program, err)
			}
			continue
		}
		wantError(t, program, err, "find the challenge program", want, folder)
	}
	// What has changed since is seen at the next run.
	s := hook(t, h, "good")
	chmod("good", 0o777)
	wantError(t, "changed since", s.Present(long(t), Record{"www.example.com", "v"}), "everybody may write to it")
	chmod("good", 0o755)
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	wantError(t, "folder", s.Present(long(t), Record{"www.example.com", "v"}), "the folder: its group or everybody may write to it")
	for path, want := range map[string]string{"hooks": "no absolute path", folder: "may write to it", outside: "it is no folder", folder + "/none": "no such file", "": "no absolute path"} {
		_, err := NewHooks(HookOptions{Folder: path})
		wantError(t, path, err, "read the folder of challenge programs", want)
	}
}
