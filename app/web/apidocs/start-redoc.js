// Starts ReDoc.

Redoc.init(
  document.body.dataset.document,
  { disableSearch: true, hideLoading: true, nativeScrollbars: true },
  document.getElementById("docs"),
);
