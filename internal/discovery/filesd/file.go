package filesd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"weir/internal/discovery"
	"weir/internal/discovery/httpget"
)

// errSettling is about a file that somebody may be writing.
var errSettling = errors.New("it is being written")

const (
	// settled is how long nobody has touched a file that is read at first sight.
	settled = 2 * time.Second
	// maxSettling is how many looks on end may find the file changed each time before that is a failure.
	maxSettling = 20
)

// stamp tells whether a file is the same and was not touched. The time is that of the last change of anything about it,
// which unlike the time of its content nobody can set.
type stamp struct {
	dev, ino uint64
	size     int64
	changed  time.Time
}

// file is a list in a file.
type file struct {
	config Config

	seen stamp // of what was read last, zero if nothing was
	err  error // what came of that
	last stamp // of the last look
	// settling counts the looks on end that found it changed.
	settling int
}

func (f *file) close() {}

func (f *file) pause(int) time.Duration {
	if f.config.Interval == 0 {
		return fileInterval
	}
	return f.config.Interval
}

func (f *file) look(context.Context) (*list, error) {
	now, err := f.stat(f.info())
	if err != nil {
		f.seen, f.last = stamp{}, stamp{}
		return nil, err
	}
	if now == f.seen {
		f.last, f.settling = now, 0
		return nil, f.err
	}
	same := now == f.last
	f.last = now
	if !same && f.config.Clock.Now().Sub(now.changed) < settled {
		return nil, f.unsettled()
	}
	body, after, err := f.read()
	if err != nil {
		return nil, err
	}
	if after != now || int64(len(body)) != now.size {
		f.last = after
		return nil, f.unsettled()
	}
	f.seen, f.settling = now, 0
	return &list{body: body, format: formatOf(f.config, f.config.Path)}, nil
}

func (f *file) unsettled() error {
	if f.settling++; f.settling > maxSettling {
		return fmt.Errorf("it has changed at each of %d looks: write it beside and rename it into its place", f.settling)
	}
	return errSettling
}

func (f *file) took(_ *list, err error) { f.err = err }

// read gives the content, and the file's stamp after that.
func (f *file) read() ([]byte, stamp, error) {
	// Not to hang at a pipe that has taken the file's place since.
	r, err := f.open(os.O_RDONLY | syscall.O_NONBLOCK)
	if err != nil {
		return nil, stamp{}, err
	}
	defer func() { _ = r.Close() }()
	if _, err := f.stat(r.Stat()); err != nil {
		return nil, stamp{}, err
	}
	body, err := io.ReadAll(io.LimitReader(r, discovery.MaxAnswer+1))
	if err != nil {
		return nil, stamp{}, err
	}
	after, err := f.stat(r.Stat())
	return body, after, err
}

func (f *file) info() (fs.FileInfo, error) {
	if f.config.Root != nil {
		return f.config.Root.Stat(f.config.Path)
	}
	return os.Stat(f.config.Path)
}

func (f *file) open(flag int) (*os.File, error) {
	if f.config.Root != nil {
		return f.config.Root.OpenFile(f.config.Path, flag, 0)
	}
	return os.OpenFile(f.config.Path, flag, 0)
}

// stat gives the stamp of what can be read as a list.
func (f *file) stat(info fs.FileInfo, err error) (stamp, error) {
	if err != nil {
		return stamp{}, err
	}
	if !info.Mode().IsRegular() {
		return stamp{}, errors.New("it is no file")
	}
	if info.Size() > discovery.MaxAnswer {
		return stamp{}, fmt.Errorf("%d MiB are %w, which is %d MiB", info.Size()>>20, discovery.ErrTooMuch, discovery.MaxAnswer>>20)
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{}, errors.New("the system does not say when it was changed")
	}
	return stamp{dev: uint64(sys.Dev), ino: sys.Ino, size: info.Size(), changed: time.Unix(sys.Ctim.Unix())}, nil
}

func (f *file) failed(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		err = of.Err // its path is in the sentence already
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%w; write [] into it if there are no targets", err)
	case f.config.Root != nil && strings.Contains(err.Error(), "escapes"):
		err = errors.New("it leads out of the folder of such files: no link may")
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w; let the user read it that the server runs as", err)
	}
	return httpget.Failure("read targets from file "+f.config.Path, err)
}
