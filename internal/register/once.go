package register

import (
	"context"
	"sync"
	"time"

	"weir/internal/secrets"
)

// Looked is what came of one check.
type Looked struct {
	Name string
	Took time.Duration
	// Err says why the service is not well, nil that it is.
	Err error
}

// LookOnce makes every check once, at the same time, in the order of the file. The control plane hears nothing of it.
func LookOnce(ctx context.Context, s *Service) []Looked {
	list := make([]Looked, len(s.Checks))
	var all sync.WaitGroup
	for i := range s.Checks {
		all.Go(func() {
			begun := time.Now()
			err := s.Checks[i].look(ctx)
			list[i] = Looked{s.Checks[i].Name, time.Since(begun), err}
		})
	}
	all.Wait()
	return list
}

// CheckToken says why the token's file can't be used, or nil.
func CheckToken(s *Service) error {
	text, err := secrets.ReadPrivateFile(s.TokenFile)
	if err != nil {
		return err
	}
	_, err = secrets.TokenKind(string(text))
	return err
}
