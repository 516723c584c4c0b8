package agent

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"weir/internal/secrets"
)

// settler brings certificates' files to disk before the keys in them are removed from where they came to: each can be made
// anew as long as its key is there, and is then the last one that has it. So thousands that come at once wait for nothing.
type settler struct {
	dir string // of the files

	mu   sync.Mutex
	safe map[string]bool // the files that are known to be on disk
	// busy are those that are on their way there, by whose; who writes one anew takes it out.
	busy   map[string]int
	rounds int
}

// settledAtOnce is how many files are brought to disk before it is looked whether that is still wanted.
const settledAtOnce = 128

func newSettler(folder string) *settler {
	return &settler{dir: filepath.Join(folder, "certs"), safe: map[string]bool{}, busy: map[string]int{}}
}

// wrote notes that a file was written, by its path.
func (s *settler) wrote(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.safe, filepath.Base(path))
	delete(s.busy, filepath.Base(path))
}

// sync returns once all files are on disk.
func (s *settler) sync() error {
	names, err := s.unsafe()
	if err != nil {
		return fmt.Errorf("sync certificates: %w", err)
	}
	for some := range slices.Chunk(names, settledAtOnce) {
		if err := s.settle(some); err != nil {
			return fmt.Errorf("sync certificates: %w", err)
		}
	}
	return nil
}

// unsafe lists the files that are not known to be on disk.
func (s *settler) unsafe() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, e := range entries {
		if name := e.Name(); e.Type() == fs.FileMode(0) && !strings.HasPrefix(name, ".") && !s.safe[name] {
			names = append(names, name)
		}
	}
	return names, nil
}

// settle returns once some files are on disk. Nobody who writes waits for that.
func (s *settler) settle(names []string) error {
	s.mu.Lock()
	s.rounds++
	round, paths := s.rounds, make([]string, len(names))
	for i, name := range names {
		paths[i], s.busy[name] = filepath.Join(s.dir, name), round
	}
	s.mu.Unlock()
	err := secrets.SyncFiles(paths...)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		if s.busy[name] == round {
			delete(s.busy, name)
			if err == nil {
				s.safe[name] = true
			}
		}
	}
	return err
}
