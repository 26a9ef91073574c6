// A storage plug-in for the XRootD server that changes nothing but one answer: asynchronous disk
// I/O is worth while. The server's own storage says it is not, and so never makes an AIO call; with
// this in front, it uses the AIO code that it has.
#include <XrdOss/XrdOssWrapper.hh>
#include <XrdVersion.hh>

namespace {

class AsyncStorage : public XrdOssWrapper {
 public:
  explicit AsyncStorage(XrdOss& storage) : XrdOssWrapper(storage) {}
  uint64_t Features() override { return wrapPI.Features() & ~XRDOSS_HASNAIO; }
};

}  // namespace

extern "C" XrdOss* XrdOssAddStorageSystem2(XrdOss* storage, XrdSysLogger*, const char*, const char*,
                                           XrdOucEnv*) {
  return new AsyncStorage(*storage);
}

XrdVERSIONINFO(XrdOssAddStorageSystem2, async);
