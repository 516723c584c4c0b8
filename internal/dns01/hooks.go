package dns01

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// Hooks runs challenge programs out of one folder. A program is run without a shell, in a process group of its own,
// in the folder /, with nothing to read, no open files, and no environment but PATH and
//
//	WEIR_CHALLENGE_ACTION  present or clean
//	WEIR_CHALLENGE_NAME    what the certificate is ordered for, as www.example.com
//	WEIR_CHALLENGE_RECORD  the TXT record's name, as _acme-challenge.www.example.com.
//	WEIR_CHALLENGE_VALUE   the TXT record's value
//
// Exit status 0 means that it is done. What it writes is shown when it fails. It must leave other values of the same
// name alone, must not mind being called twice, and may run at the same time as itself. When it ends, or its time
// is over, everything in its process group is killed.
type Hooks struct {
	folder  string
	timeout time.Duration
	slots   chan struct{}
}

// HookOptions says where programs are, and what they may take.
type HookOptions struct {
	// Folder is an absolute path. It belongs to root or to the user that this process runs as, and only they may write to it.
	Folder string
	// Timeout bounds one run, 2 minutes when 0.
	Timeout time.Duration
	// AtOnce is how many programs run at once, 4 when 0; the others queue up.
	AtOnce int
}

// NewHooks checks the folder.
func NewHooks(o HookOptions) (*Hooks, error) {
	if !filepath.IsAbs(o.Folder) {
		return nil, fmt.Errorf("read the folder of challenge programs: %q is no absolute path", clip(o.Folder))
	}
	folder, err := checkFolder(o.Folder)
	if err != nil {
		return nil, fmt.Errorf("read the folder of challenge programs %s: %w", o.Folder, err)
	}
	if o.AtOnce <= 0 {
		o.AtOnce = 4
	}
	return &Hooks{folder: folder, timeout: orElse(o.Timeout, 2*time.Minute), slots: make(chan struct{}, o.AtOnce)}, nil
}

// Solver gives the one that runs the program of that name in the folder. A program that is not there or may not be
// run is refused now and before each run.
func (h *Hooks) Solver(program string, p Proof) (*Hook, error) {
	if _, err := h.find(program); err != nil {
		return nil, err
	}
	p, err := p.check()
	if err != nil {
		return nil, err
	}
	v := view{client: client{try: 5 * time.Second}, resolvers: p.Resolvers, port: "53"}
	return &Hook{hooks: h, program: program, prover: prover{view: v, only: p.Servers}}, nil
}

var programs = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$`)

// find gives the path of a program that may be run.
func (h *Hooks) find(program string) (string, error) {
	if !programs.MatchString(program) {
		return "", fmt.Errorf("find the challenge program %q: a program is named by 1 to 64 letters, digits, '_', '-' and '.', not beginning with '.' or '-'; it lies in %s itself", clip(program), h.folder)
	}
	path, err := h.checkProgram(program)
	if err != nil {
		return "", fmt.Errorf("find the challenge program %s in %s: %w", program, h.folder, err)
	}
	return path, nil
}

// checkFolder gives the folder's path without links.
func checkFolder(path string) (string, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", cause(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", cause(err)
	}
	if !info.IsDir() {
		return "", errors.New("it is no folder")
	}
	return path, trusted(info)
}

// checkProgram gives the program's path without links. Links may lead to other programs of the folder only.
func (h *Hooks) checkProgram(program string) (string, error) {
	if _, err := checkFolder(h.folder); err != nil {
		return "", fmt.Errorf("the folder: %w", err)
	}
	path, err := filepath.EvalSymlinks(filepath.Join(h.folder, program))
	if err != nil {
		return "", cause(err)
	}
	if filepath.Dir(path) != h.folder {
		return "", errors.New("it is a link that leads out of the folder; put the program itself there")
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", cause(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is no regular file")
	}
	if info.Mode().Perm()&0o111 == 0 {
		return "", errors.New("it is not executable; chmod 0755 it")
	}
	return path, trusted(info)
}

// trusted says why somebody else than root and this process's user could change the file, or nil.
func trusted(info os.FileInfo) error {
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("its group or everybody may write to it (mode %04o); chmod go-w it", info.Mode().Perm())
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("its owner can't be told")
	}
	if uid := os.Geteuid(); stat.Uid != 0 && int(stat.Uid) != uid {
		return fmt.Errorf("it belongs to the user %d; only root (0) or this process's user (%d) may own it", stat.Uid, uid)
	}
	return nil
}

// cause gives an error of the file system without the path, which the caller names.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
