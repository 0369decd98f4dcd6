// Runs a Darknet network by OpenCV's dnn module, for bench/service-limits.ts. Requests and answers are lines of JSON, as
// in stock-client.ts. Arguments: FILE.cfg FILE.weights SIZE THREADS.
#include <chrono>
#include <iostream>
#include <opencv2/core.hpp>
#include <opencv2/dnn.hpp>
#include <string>
#include <vector>

static double run(cv::dnn::Net &net, const cv::Mat &image) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<cv::Mat> outputs;
  net.setInput(cv::dnn::blobFromImage(image, 1.0 / 255));
  net.forward(outputs, net.getUnconnectedOutLayersNames());
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

int main(int, char **arguments) {
  const int size = std::stoi(arguments[3]);
  cv::setNumThreads(std::stoi(arguments[4]));
  cv::Mat image(size, size, CV_8UC3);
  cv::randu(image, 0, 256);
  cv::dnn::Net net;
  std::cout << "{}" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    if (line.find("load") != std::string::npos) {
      net = cv::dnn::readNetFromDarknet(arguments[1], arguments[2]);
      net.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
      std::cout << "{}" << std::endl;
    } else {
      std::cout << "{\"latencyMs\": " << run(net, image) << "}" << std::endl;
    }
  }
}
