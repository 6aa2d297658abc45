module example.com/graceful-killer-go

go 1.21

require github.com/tencentyun/scf-go-lib v0.0.0-20211123032342-f972dcd16ff6
