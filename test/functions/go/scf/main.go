// A function of scf-go-lib that does what its event says.
package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/tencentyun/scf-go-lib/cloudfunction"
	"github.com/tencentyun/scf-go-lib/functioncontext"
)

type event struct {
	Do    string `json:"do"`
	Bytes int    `json:"bytes"`
}

var calls = 0

func handle(ctx context.Context, e event) (any, error) {
	calls++
	switch e.Do {
	case "fail":
		return nil, errors.New("went wrong")
	case "panic":
		panic("in a panic")
	case "exit":
		os.Exit(6)
	case "large":
		return strings.Repeat("x", e.Bytes), nil
	}
	fc, _ := functioncontext.FromContext(ctx)
	deadline, timed := ctx.Deadline()
	return map[string]any{
		"id": fc.RequestID, "name": fc.FunctionName, "memory": fc.MemoryLimitInMb, "limit": fc.TimeLimitInMs, "mode": os.Getenv("MODE"),
		"timed": timed, "deadline": deadline.UnixMilli(), "calls": calls,
	}, nil
}

func main() {
	cloudfunction.Start(handle)
}
